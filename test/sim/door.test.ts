/** The one door of the control core: what an event leaves behind it is true before the next one is looked at. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Effect } from '../../src/primary/control/effects.ts';
import { mappedBytes } from '../../src/primary/tables/tunnelRows.ts';
import { MessageType, Subtype } from '../../src/shared/wire/header.ts';
import { ep } from '../support/addresses.ts';
import { connected, reasons, tunnelCount } from './pairs.ts';
import { SimDiscovery } from './simDiscovery.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

const elsewhere = ep('198.51.100.9:99');

function tunnelOf(node: SimNode): { readonly slot: number; readonly generation: number } {
  const [{ tunnel }] = node.control.hosts();
  return { slot: tunnel.slot, generation: tunnel.generation };
}

function sealed(effects: readonly Effect[]): unknown[] {
  return effects.flatMap((effect) =>
    effect.kind === 'sendSealed' ? [[effect.type, effect.subtype, [...effect.body], effect.endpoint]] : [],
  );
}

describe('simulation: reports of workers', () => {
  it('find what the one before changed: a test is answered where the peer has just roamed to', () => {
    const { world, b } = connected(800);
    const { slot, generation } = tunnelOf(b);
    const from = { address: mappedBytes(elsewhere.address), port: elsewhere.port, local: new Uint8Array(16) };
    b.control.onPunt(world.now, { kind: 'roam', slot, generation, ...from });
    expect(b.endpointAt(slot)?.text).to.equal(elsewhere.text);
    b.control.onPunt(world.now, { kind: 'test', slot, generation, body: Uint8Array.of(7) });
    // To the tunnel's own endpoint, which is the new one.
    expect(sealed(b.control.drain())).to.deep.equal([[MessageType.Test, Subtype.TestReply, [7], null]]);
  });

  it('about a tunnel of the past change nothing and are not answered', () => {
    const { world, b } = connected(801);
    const { slot, generation } = tunnelOf(b);
    const stale = { slot, generation: generation - 2 };
    b.control.onPunt(world.now, { kind: 'test', ...stale, body: Uint8Array.of(7) });
    b.control.onPunt(world.now, { kind: 'close', ...stale });
    b.control.onPunt(world.now, { kind: 'lighthouse', ...stale, body: Uint8Array.of(0xff) });
    expect(b.control.drain()).to.deep.equal([]);
    expect(tunnelCount(b)).to.equal(1);
    b.control.onPunt(world.now, { kind: 'close', slot, generation });
    b.settle(world.now);
    expect(reasons(b)).to.deep.equal(['closed by peer']);
  });

  it('of every other kind lead where their methods lead', () => {
    const { world, a, b } = connected(802);
    const from = { address: mappedBytes(a.endpoint.address), port: a.endpoint.port, local: new Uint8Array(16) };
    b.control.onPunt(world.now, { kind: 'handshake', bytes: new Uint8Array(40), ...from });
    b.control.onPunt(world.now, { kind: 'recvError', index: 1, ...from });
    b.control.onPunt(world.now, { kind: 'miss', address: mappedBytes(elsewhere.address) });
    b.control.onPunt(world.now, { kind: 'lighthouse', ...tunnelOf(b), body: Uint8Array.of(0xff) });
    const answer = { kind: 'lighthouseAnswer', address: mappedBytes(a.vpnAddress), body: Uint8Array.of(3) } as const;
    b.control.onPunt(world.now, answer);
    const effects = b.control.drain();
    const counts = effects.flatMap((effect) => (effect.kind === 'count' ? [effect.metric] : []));
    expect(counts).to.include.members([
      'handshakes.rejected.header',
      'recv_errors.ignored',
      'handshake_manager.initiated',
      'lighthouse.drop.malformed',
    ]);
    expect(b.control.pending().map(({ address }) => address.text)).to.deep.equal([elsewhere.address.text]);
    expect(sealed(effects)).to.deep.equal([[MessageType.Lighthouse, 0, [3], null]]);
  });
});

describe('simulation: a fault of the core', () => {
  it('in what one part has to do at a time keeps no other part from its own', () => {
    const world = new World(803);
    const names = new Map([['beta.example', [ep('192.0.2.2:1').address]]]);
    const staticHosts = { '10.42.0.2': ['beta.example:4242'] };
    const a = world.addNode('alpha', {
      companion: (node) => new SimDiscovery(node, { names, staticHosts, lighthouses: [], amLighthouse: false }),
    });
    const b = world.addNode('beta');
    world.run(100);
    world.ping(a, b);
    world.run(100);
    expect(tunnelCount(a)).to.equal(1);
    a.store.takeTraffic = () => {
      throw new Error('the checks fail');
    };
    const later = { ms: world.nowMs + 40_000, unixMs: world.now.unixMs + 40_000 };
    expect(() => a.control.onTimer(later)).to.throw('the checks fail');
    expect(a.control.drain().map(({ kind }) => kind)).to.include('resolve');
  });
});
