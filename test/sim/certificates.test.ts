/** Certificates against the control plane on a fake clock: refusals that must stay cheap, versions, expiry, rotation. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { headerCounterLow, headerType, MessageType } from '../../src/shared/wire/header.ts';
import { lastText, pair } from './pairs.ts';
import type { World } from './world.ts';

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
});
