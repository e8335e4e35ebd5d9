import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Context } from '../../../src/primary/control/context.ts';
import type { Effect } from '../../../src/primary/control/effects.ts';
import { HandshakeAnswers } from '../../../src/primary/control/handshakeAnswers.ts';
import { Handshakes, PENDING_MAX } from '../../../src/primary/control/handshakes.ts';
import type { Now } from '../../../src/primary/control/now.ts';
import { Remotes } from '../../../src/primary/control/remotes.ts';
import { Farewell, Tunnels } from '../../../src/primary/control/tunnels.ts';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { addressFromBytes, type Endpoint } from '../../../src/shared/ip/address.ts';
import { ep, ip } from '../../support/addresses.ts';
import { defaultSettings } from '../../support/controlSettings.ts';
import { MemoryTunnelStore } from '../../support/memoryTunnelStore.ts';
import { Random } from '../../support/random.ts';
import { TestAuthority } from '../../support/testAuthority.ts';

const authority = new TestAuthority(1);

/** The parts of one node, so that a test can look at what they share. */
class Parts {
  readonly store: MemoryTunnelStore;
  readonly context: Context;
  readonly tunnels: Tunnels;
  readonly handshakes: Handshakes;
  readonly answers: HandshakeAnswers;

  constructor(seed: number, network: string, capacity: number = 16) {
    const random = new Random(seed);
    this.store = new MemoryTunnelStore(capacity);
    this.context = new Context({
      store: this.store,
      remotes: new Remotes(),
      remoteFilter: { allowsUnknown: () => true, allowsAll: () => true },
      random: (byteCount) => random.bytes(byteCount),
      cipher: Cipher.Aes256Gcm,
      identity: authority.identity(`node ${network}`, [network]),
      settings: defaultSettings,
    });
    this.tunnels = new Tunnels(this.context);
    this.handshakes = new Handshakes(this.context, this.tunnels);
    this.answers = new HandshakeAnswers(this.context, this.tunnels);
  }

  /** The datagrams among the effects since the last call. */
  datagrams(): Uint8Array[] {
    return this.drain().flatMap((effect) => (effect.kind === 'sendDatagram' ? [effect.bytes] : []));
  }

  drain(): Effect[] {
    return this.context.outbox.drain();
  }
}

const A = ip('10.0.0.1');
const B = ip('10.0.0.2');
const A_ENDPOINT = ep('192.0.2.1:4242');
const B_ENDPOINT = ep('192.0.2.2:4242');

function moment(ms: number): Now {
  return { ms, unixMs: 1_750_000_000_000 + ms };
}

/** a asks, b answers; the packet of each. */
function exchange(a: Parts, b: Parts, now: Now, to: Endpoint = B_ENDPOINT): void {
  a.context.remotes.report(A, B, [to], []);
  a.handshakes.start(now, B);
  const [request] = a.datagrams();
  b.answers.onRequest(now, request, A_ENDPOINT);
  const [answer] = b.datagrams();
  a.handshakes.onAnswer(now, answer, new DataView(answer.buffer).getUint32(4), to);
}

describe('handshakes and tunnels', () => {
  it('give local indexes back whichever way a handshake or a tunnel ends', () => {
    const a = new Parts(1, '10.0.0.1/24');
    const b = new Parts(2, '10.0.0.2/24');
    exchange(a, b, moment(0));
    expect([a, b].map((node) => node.context.localIndexes.size)).to.deep.equal([1, 1]);
    a.tunnels.close(a.tunnels.hosts.primary(B)!, 'test', Farewell.Close);
    expect(a.context.localIndexes.size, 'closed').to.equal(0);
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    a.handshakes.start(moment(1), B);
    expect(a.context.localIndexes.size, 'pending').to.equal(1);
    for (let ms = 0; ms < 10_000; ms += 100) {
      a.handshakes.onTimer(moment(ms));
    }
    expect([a.context.localIndexes.size, a.handshakes.size], 'timed out').to.deep.equal([0, 0]);
    a.handshakes.start(moment(20_000), B);
    a.handshakes.clear();
    expect([a.context.localIndexes.size, a.handshakes.nextMs], 'cleared').to.deep.equal([0, null]);
  });

  it('give local indexes back when the table is full, on both sides', () => {
    const a = new Parts(3, '10.0.0.1/24', 0);
    const b = new Parts(4, '10.0.0.2/24');
    exchange(a, b, moment(0));
    expect(a.context.localIndexes.size).to.equal(0);
    expect(a.drain().map((effect) => effect.kind)).to.include('hostFailed');
    const full = new Parts(5, '10.0.0.2/24', 0);
    a.handshakes.start(moment(1), B);
    full.answers.onRequest(moment(1), a.datagrams()[0], A_ENDPOINT);
    expect(full.context.localIndexes.size).to.equal(0);
    expect(full.tunnels.hosts.size).to.equal(0);
  });

  it('give local indexes back when the wrong host answers, after a goodbye with the fresh keys', () => {
    const a = new Parts(6, '10.0.0.1/24');
    const wrong = new Parts(7, '10.0.0.9/24');
    exchange(a, wrong, moment(0));
    const effects = a.drain();
    const closes = effects.filter((effect) => effect.kind === 'sendSealed' || effect.kind === 'tunnelClosed');
    expect(closes.map((effect) => effect.kind)).to.deep.equal(['sendSealed', 'tunnelClosed']);
    expect(a.context.remotes.isBlocked(B, B_ENDPOINT)).to.equal(true);
    expect(a.context.localIndexes.size).to.equal(0);
    expect(a.handshakes.size).to.equal(1);
  });

  it('send message 2 before anything can use the tunnel', () => {
    const a = new Parts(8, '10.0.0.1/24');
    const b = new Parts(9, '10.0.0.2/24');
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    a.handshakes.start(moment(0), B);
    b.answers.onRequest(moment(0), a.datagrams()[0], A_ENDPOINT);
    const kinds = b.drain().map((effect) => effect.kind);
    expect(kinds.indexOf('sendDatagram')).to.be.within(0, kinds.indexOf('hostUp') - 1);
  });

  it('do not start for an own address, nor twice for one address, nor without limit', () => {
    const a = new Parts(10, '10.0.0.1/24');
    a.handshakes.start(moment(0), A);
    expect(a.handshakes.size).to.equal(0);
    for (let n = 0; n < PENDING_MAX + 10; n++) {
      a.handshakes.start(moment(0), addressFromBytes(Uint8Array.of(10, 1, n >> 8, n & 0xff)));
      a.handshakes.start(moment(0), ip('10.1.0.0'));
    }
    expect(a.handshakes.size).to.equal(PENDING_MAX);
    expect(a.drain().filter((effect) => effect.kind === 'hostFailed')).to.have.length(10);
  });

  it('try again at n times the interval', () => {
    const a = new Parts(11, '10.0.0.1/24');
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    const times: number[] = [];
    a.handshakes.start(moment(0), B);
    for (let ms = 0; ms < 8000; ms += 50) {
      a.handshakes.onTimer(moment(ms));
      times.push(...a.datagrams().map(() => ms));
    }
    expect(times).to.deep.equal([0, 100, 300, 600, 1000, 1500, 2100, 2800, 3600, 4500]);
  });

  it('ask the lighthouses once more at the fifth attempt when there is at most one endpoint', () => {
    const a = new Parts(12, '10.0.0.1/24');
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    a.handshakes.start(moment(0), B);
    const queries: number[] = [];
    for (let ms = 0; ms < 6000; ms += 50) {
      a.handshakes.onTimer(moment(ms));
      queries.push(...a.drain().flatMap((effect) => (effect.kind === 'queryLighthouse' ? [ms] : [])));
    }
    expect(queries).to.deep.equal([0, 1000]);
  });

  it('move a tunnel to a preferred source when the peer repeats its message 1 from there', () => {
    const a = new Parts(13, '10.0.0.1/24');
    const b = new Parts(14, '10.0.0.2/24');
    const range = { address: ip('192.168.0.0'), bits: 16, text: '192.168.0.0/16' };
    b.context.settings = { ...defaultSettings, preferredRanges: [range] };
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    a.handshakes.start(moment(0), B);
    const [request] = a.datagrams();
    b.answers.onRequest(moment(0), request, A_ENDPOINT);
    b.drain();
    b.answers.onRequest(moment(10), request, ep('192.168.1.1:4242'));
    expect(b.tunnels.hosts.primary(A)?.endpoint?.text).to.equal('192.168.1.1:4242');
    expect(b.drain().map((effect) => effect.kind)).to.deep.equal(['count', 'sendDatagram', 'sendSealed', 'log']);
    b.answers.onRequest(moment(20), request, A_ENDPOINT);
    expect(b.tunnels.hosts.primary(A)?.endpoint?.text).to.equal('192.168.1.1:4242');
  });
});
