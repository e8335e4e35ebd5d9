/** Certificates against the control plane on a fake clock: refusals that must stay cheap, versions, expiry, rotation. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { headerCounterLow, headerType, MessageType } from '../../src/shared/wire/header.ts';
import { ip } from '../support/addresses.ts';
import { lastText, pair } from './pairs.ts';
import { SimDiscovery } from './simDiscovery.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

/** Messages 1 that went over the network, as text. */
function requestsIn({ network }: World): string[] {
  return network.sent.flatMap(({ bytes }) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const isRequest = headerType(bytes, 0) === MessageType.Handshake && headerCounterLow(view, 0) === 1;
    return isRequest ? [Buffer.from(bytes).toString('hex')] : [];
  });
}

describe('simulation: a peer whose certificate is refused', () => {
  it('costs two messages a second and a key agreement in five, however many packets want to go there', () => {
    const { world, a, b } = pair(400);
    const fingerprint = b.identity.certificates[0].fingerprint;
    a.reloadIdentity(world.now, { ...a.identity, caPool: world.authority.pool([fingerprint]) });
    world.runWith(10_000, 5, () => world.ping(a, b));
    const requests = requestsIn(world);
    expect(requests).to.have.length.within(10, 20);
    expect(new Set(requests).size, 'those that b has to compute an answer for').to.equal(2);
    expect(a.counted('handshakes.rejected.bad_certificate')).to.be.within(10, 20);
  });

  it('is reached again within a second or two of being accepted', () => {
    const { world, a, b } = pair(401);
    const fingerprint = b.identity.certificates[0].fingerprint;
    const good = a.identity;
    a.reloadIdentity(world.now, { ...good, caPool: world.authority.pool([fingerprint]) });
    world.runWith(3000, 50, () => world.ping(a, b));
    a.reloadIdentity(world.now, good);
    world.runWith(1500, 50, () => world.ping(a, b, 'welcome'));
    expect(lastText(b)).to.equal('welcome');
    expect(a.counted('handshakes.completed')).to.equal(1);
  });

  it('of both versions let a peer be found by its IPv6 address', () => {
    const world = new World(402);
    const staticHosts = { '10.42.0.1': ['192.0.2.1:4242'] };
    const common = { names: new Map(), staticHosts, lighthouses: ['10.42.0.1'] };
    const add = (name: string, number: number, amLighthouse: boolean): SimNode =>
      world.addNode(name, {
        networks: [`10.42.0.${number}/24`, `fd42::${number}/64`],
        issue: { versions: [1, 2] },
        settings: amLighthouse ? { amLighthouse } : { lighthouses: [ip('10.42.0.1')] },
        companion: (node) =>
          new SimDiscovery(node, {
            ...common,
            ...(amLighthouse ? { staticHosts: {}, lighthouses: [] } : {}),
            amLighthouse,
          }),
      });
    add('lighthouse', 1, true);
    const [a, b] = [add('a', 2, false), add('b', 3, false)];
    world.run(5000);
    a.sendOverlay(world.nowOf(a), ip('fd42::3'), 'hello');
    world.run(5000);
    expect(lastText(b)).to.equal('hello');
    expect(a.control.primary(ip('10.42.0.1'))?.ownCertificate.version, 'the tunnel to the lighthouse').to.equal(2);
    world.run(120_000);
    expect(a.counted('handshakes.completed') + b.counted('handshakes.completed'), 'no to and fro').to.be.lessThan(8);
  });
});
