/** The warm-up: it carries packets of every kind over descriptors and tables of its own, and leaves nothing behind. */
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import type { WorkerSettings } from '../../src/shared/ipc/messages.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import { libc } from '../../src/shared/sys/libc.ts';
import { loopbackSocket } from '../../src/worker/ports/localSockets.ts';
import { WARM_UP_ARENA_BYTES, warmUp } from '../../src/worker/warmUp.ts';
import { type Host, warmUpPackets } from '../../src/worker/warmUpPackets.ts';
import { makeCa, makeHost, prefixes } from '../support/certificates.ts';
import { isSound } from '../support/innerPackets.ts';
import { Random } from '../support/random.ts';
import { workerSettings } from '../support/workerSettings.ts';

const OFFLOADS = { vnetHeader: true, tso: true, uso: true };
const NO_OFFLOADS = { vnetHeader: false, tso: false, uso: false };

function settings(overrides: Partial<WorkerSettings> = {}): WorkerSettings {
  const random = new Random(3);
  const host = makeHost(random, makeCa(random), { networks: prefixes('10.0.0.1/24') });
  return workerSettings(host, { tunOffload: OFFLOADS, udpOffloads: true, ...overrides });
}

describe('warm-up', function () {
  this.timeout(30_000);

  const kinds: Record<string, Partial<WorkerSettings>> = {
    'with offloads': {},
    'without offloads': { tunOffload: NO_OFFLOADS, udpOffloads: false },
    'over IPv6 sockets': { family: 6 },
    'with ChaCha20-Poly1305': { cipher: Cipher.ChaCha20Poly1305 },
    'of a node that lets nothing pass': {
      firewall: { ...settings().firewall, rules: { inbound: [], outbound: [], defaultLocalCidrAny: false } },
    },
    'of a node whose network is the same': { labelKey: new Uint8Array(16).fill(1) },
  };
  for (const [kind, overrides] of Object.entries(kinds)) {
    it(`carries packets ${kind}`, () => {
      // The first round that does not arrive ends it.
      expect(warmUp(settings(overrides), new Arena(WARM_UP_ARENA_BYTES))).to.be.above(8);
    });
  }

  it('fits its share of the arena, gives the pages of packets back, and leaves no descriptor open', () => {
    const arena = new Arena(WARM_UP_ARENA_BYTES);
    const before = readdirSync('/proc/self/fd').length;
    warmUp(settings(), arena);
    expect(readdirSync('/proc/self/fd').length).to.equal(before);
    // A packet's payload is what it is filled with.
    const left = arena.bytes.reduce((count, byte) => count + (byte === 0x5a ? 1 : 0), 0);
    expect(left).to.be.below(100_000);
    expect(arena.bytes.subarray(0, arena.usedBytes).length).to.be.above(1_000_000);
  });

  it('leaves no descriptor open when it fails', () => {
    const before = readdirSync('/proc/self/fd').length;
    expect(() => warmUp(settings(), new Arena(100_000))).to.throw(RangeError);
    expect(readdirSync('/proc/self/fd').length).to.equal(before);
  });

  for (const host of [1, 2] as const satisfies readonly Host[]) {
    it(`sends sound packets as host ${host}`, () => {
      const { echo, small, large } = warmUpPackets(host, NO_OFFLOADS);
      const packets = [...small, ...large];
      expect(packets.map(isSound)).to.deep.equal(packets.map(() => true));
      expect(echo[20]).to.equal(host === 1 ? 8 : 0);
      expect(warmUpPackets(host, OFFLOADS).large.every((packet) => packet.length > 16_000)).to.equal(true);
    });
  }
});

describe('sockets of the loopback device', () => {
  for (const family of [4, 6] as const) {
    it(`have a port each, of family ${family}`, () => {
      const [first, second] = [loopbackSocket(family), loopbackSocket(family)];
      libc.close(first.fd);
      libc.close(second.fd);
      expect(first.port).to.be.above(0).and.not.equal(second.port);
    });
  }
});
