import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Remotes } from '../../../../src/primary/control/discovery/remotes.ts';
import type { Whereabouts } from '../../../../src/primary/control/discovery/whereabouts.ts';
import type { Effect } from '../../../../src/primary/control/effects.ts';
import type { Now } from '../../../../src/primary/control/now.ts';
import { Context } from '../../../../src/primary/control/tunnels/context.ts';
import { HandshakeAnswers } from '../../../../src/primary/control/tunnels/handshakeAnswers.ts';
import { Handshakes, PENDING_MAX } from '../../../../src/primary/control/tunnels/handshakes.ts';
import { HostTunnels } from '../../../../src/primary/control/tunnels/hostTunnels.ts';
import { Farewell, Tunnels } from '../../../../src/primary/control/tunnels/tunnels.ts';
import { UNCONFIRMED_PER_HOST_MAX } from '../../../../src/primary/control/tunnels/unconfirmedTunnels.ts';
import { Cipher } from '../../../../src/shared/crypto/aead.ts';
import { addressFromBytes, type Endpoint } from '../../../../src/shared/ip/address.ts';
import { ep, ip } from '../../../support/addresses.ts';
import { defaultSettings } from '../../../support/controlSettings.ts';
import { MemoryTunnelStore } from '../../../support/memoryTunnelStore.ts';
import { Random } from '../../../support/random.ts';
import { TestAuthority } from '../../../support/testAuthority.ts';

const authority = new TestAuthority(1);

/** The parts of one node, so that a test can look at what they share. */
class Parts {
  readonly store: MemoryTunnelStore;
  readonly context: Context;
  readonly tunnels: Tunnels;
  readonly handshakes: Handshakes;
  readonly answers: HandshakeAnswers;
  /** When it was asked where somebody is. */
  readonly queriesMs: number[] = [];

  constructor(seed: number, network: string, capacity: number = 16) {
    const random = new Random(seed);
    this.store = new MemoryTunnelStore(capacity);
    this.context = new Context({
      store: this.store,
      register: null,
      remotes: new Remotes(),
      remoteFilter: { allowsUnknown: () => true, allowsAll: () => true },
      random: (byteCount) => random.bytes(byteCount),
      cipher: Cipher.Aes256Gcm,
      identity: authority.identity(`node ${network}`, [network]),
      settings: defaultSettings,
    });
    const whereabouts: Whereabouts = {
      query: (now) => this.queriesMs.push(now.ms),
      onHostUp: () => undefined,
      onHostFailed: () => undefined,
      onHostGone: () => undefined,
    };
    this.tunnels = new Tunnels(this.context, new HostTunnels(), whereabouts);
    this.handshakes = new Handshakes(this.context, this.tunnels, whereabouts);
    this.answers = new HandshakeAnswers(this.context, this.tunnels, this.handshakes);
  }

  /** A worker reports the first packet of the one unconfirmed tunnel. */
  confirm(now: Now, from: Endpoint): void {
    const [{ slot, generation }] = this.tunnels.unconfirmed.all();
    expect(this.answers.onPacket(now, slot, generation, from)).to.equal(true);
    expect(this.answers.onPacket(now, slot, generation, from)).to.equal(false);
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
    a.tunnels.close(moment(0), a.tunnels.hosts.primary(B)!, 'test', Farewell.Close);
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
    expect(full.datagrams(), 'no answer for a tunnel that is not there').to.deep.equal([]);
  });

  it('give local indexes back when the wrong host answers, after a goodbye with the fresh keys', () => {
    const a = new Parts(6, '10.0.0.1/24');
    const wrong = new Parts(7, '10.0.0.9/24');
    exchange(a, wrong, moment(0));
    const effects = a.drain();
    const closes = effects.flatMap((effect) => (effect.kind === 'tunnelClosed' ? [effect.farewell] : []));
    expect(closes).to.deep.equal([Farewell.Close]);
    expect(a.context.remotes.isBlocked(B, B_ENDPOINT)).to.equal(true);
    expect([a.handshakes.size, a.context.localIndexes.size], 'it waits for the right one').to.deep.equal([1, 1]);
    for (let ms = 0; ms < 10_000; ms += 100) {
      a.handshakes.onTimer(moment(ms));
    }
    expect([a.handshakes.size, a.context.localIndexes.size]).to.deep.equal([0, 0]);
    expect(a.context.remotes.isBlocked(B, B_ENDPOINT), 'for as long as the handshake lasts').to.equal(false);
  });

  it('send message 2 before anything can use the tunnel', () => {
    const a = new Parts(8, '10.0.0.1/24');
    const b = new Parts(9, '10.0.0.2/24');
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    a.handshakes.start(moment(0), B);
    b.answers.onRequest(moment(0), a.datagrams()[0], A_ENDPOINT);
    const effects = b.drain();
    const kinds = effects.map((effect) => effect.kind);
    expect(kinds.indexOf('sendDatagram')).to.be.within(0, kinds.indexOf('sendSealed') - 1);
    expect(kinds).not.to.include('hostUp');
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
    for (let ms = 0; ms < 6000; ms += 50) {
      a.handshakes.onTimer(moment(ms));
    }
    expect(a.queriesMs).to.deep.equal([0, 1000]);
  });

  it('ask at a preferred source from where message 1 is repeated, and go nowhere unless the peer answers there', () => {
    const a = new Parts(13, '10.0.0.1/24');
    const b = new Parts(14, '10.0.0.2/24');
    const range = { address: ip('192.168.0.0'), bits: 16, text: '192.168.0.0/16' };
    b.context.settings = { ...defaultSettings, preferredRanges: [range] };
    a.context.remotes.report(A, B, [B_ENDPOINT], []);
    a.handshakes.start(moment(0), B);
    const [request] = a.datagrams();
    b.answers.onRequest(moment(0), request, A_ENDPOINT);
    b.confirm(moment(5), A_ENDPOINT);
    b.drain();
    const preferred = ep('192.168.1.1:4242');
    b.answers.onRequest(moment(10), request, preferred);
    const effects = b.drain();
    expect(effects.map((effect) => effect.kind)).to.deep.equal(['count', 'sendDatagram', 'sendSealed', 'log']);
    expect(effects.flatMap((effect) => ('endpoint' in effect ? [effect.endpoint] : []))).to.deep.equal([
      preferred,
      preferred,
    ]);
    expect(b.tunnels.hosts.primary(A)?.endpoint?.text).to.equal(A_ENDPOINT.text);
  });
});

describe('a tunnel that its initiator has not used yet', () => {
  /** One forged or honest message 1 of node 10.0.0.n, as it reaches b. */
  function call(b: Parts, n: number, ms: number, from: Endpoint, seed: number = n): void {
    const a = new Parts(1000 + seed, `10.0.0.${n}/24`);
    a.context.remotes.report(ip(`10.0.0.${n}`), B, [B_ENDPOINT], []);
    a.handshakes.start(moment(ms), B);
    b.answers.onRequest(moment(ms), a.datagrams()[0], from);
  }

  it('is asked four times within three seconds and gone after twelve', () => {
    const b = new Parts(20, '10.0.0.2/24');
    call(b, 1, 0, A_ENDPOINT);
    const seen: [number, string][] = [];
    for (let ms = 0; ms <= 13_000; ms += 100) {
      b.answers.onTimer(moment(ms));
      const kinds = b.drain().map(({ kind }) => kind);
      seen.push(
        ...kinds.filter((kind) => kind !== 'count' && kind !== 'log').map((kind): [number, string] => [ms, kind]),
      );
    }
    expect(seen).to.deep.equal([
      [0, 'sendDatagram'],
      [0, 'sendSealed'],
      [200, 'sendSealed'],
      [800, 'sendSealed'],
      [2600, 'sendSealed'],
      [12_000, 'tunnelClosed'],
    ]);
    expect([b.context.localIndexes.size, b.answers.nextMs]).to.deep.equal([0, null]);
  });

  it('gives way to a newer one when there are too many, those of the busiest source first', () => {
    const b = new Parts(21, '10.0.0.2/24', 64);
    const hostsOf = (): string[] => b.tunnels.unconfirmed.all().map((tunnel) => tunnel.endpoint?.text ?? '');
    call(b, 1, 0, A_ENDPOINT);
    for (let n = 0; n < UNCONFIRMED_PER_HOST_MAX + 2; n++) {
      call(b, 1, 1 + n, ep(`198.51.100.1:${n + 1}`), 100 + n);
    }
    expect(hostsOf()).to.deep.equal([A_ENDPOINT.text, '198.51.100.1:4', '198.51.100.1:5', '198.51.100.1:6']);
    for (let n = 3; n < 20; n++) {
      call(b, n, 50 + n, ep(`198.51.100.2:${n}`));
    }
    // An eighth of the table, whoever they claim to be.
    expect(hostsOf()).to.have.length(8);
    expect(hostsOf()[0]).to.equal(A_ENDPOINT.text);
    expect(b.context.localIndexes.size).to.equal(8);
    expect(b.tunnels.hosts.size).to.equal(0);
  });

  it('lets our own handshake wait for one interval, and makes it needless when it is confirmed by then', () => {
    const b = new Parts(22, '10.0.0.2/24');
    b.context.remotes.report(B, A, [A_ENDPOINT], []);
    call(b, 1, 0, A_ENDPOINT);
    b.drain();
    b.handshakes.start(moment(10), A);
    expect(b.datagrams()).to.deep.equal([]);
    b.confirm(moment(50), A_ENDPOINT);
    expect([b.handshakes.size, b.context.localIndexes.size]).to.deep.equal([0, 1]);

    const c = new Parts(23, '10.0.0.2/24');
    c.context.remotes.report(B, A, [A_ENDPOINT], []);
    call(c, 1, 0, ep('198.51.100.1:1'));
    c.drain();
    c.handshakes.start(moment(10), A);
    c.handshakes.onTimer(moment(110));
    expect(c.datagrams()).to.have.length(1);
  });
});
