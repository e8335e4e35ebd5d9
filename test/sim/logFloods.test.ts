import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Initiator } from '../../src/primary/control/tunnels/handshakeMachine.ts';
import { LimitedLog } from '../../src/primary/limitedLog.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { generateKeyPair, PRIVATE_KEY_BYTES } from '../../src/shared/crypto/dh.ts';
import { createLogger } from '../../src/shared/log/logger.ts';
import { MessageType, Subtype, writeHeader } from '../../src/shared/wire/header.ts';
import { ep } from '../support/addresses.ts';
import { HeldClock } from '../support/heldClock.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

const COUNT = 1000;
/** A burst of each kind, one line a second, and one for the rest. */
const LINES_MAX = 50 + 1 + 1;

/** What a stranger can write: a first message needs only a certificate, which every handshake shows. */
function firstMessage(world: World, identity: Identity, timeMs: number): Uint8Array {
  const ephemeralKeys = generateKeyPair(identity.curve, world.random.bytes(PRIVATE_KEY_BYTES));
  const localIndex = 1 + world.random.below(0x7fff_ffff);
  const timeNs = BigInt(Math.floor(timeMs)) * 1_000_000n;
  const machine = Initiator.start({ identity, cipher: Cipher.Aes256Gcm }, identity.initiatingVersion, {
    localIndex,
    ephemeralKeys,
    timeNs,
  });
  if ('fault' in machine) {
    throw new Error(machine.detail);
  }
  return machine.packet;
}

function packetOf(remoteIndex: number, counter: number, body: Uint8Array): Uint8Array {
  const packet = new Uint8Array(16 + body.length);
  writeHeader(new DataView(packet.buffer), 0, MessageType.Handshake, Subtype.None, 0, remoteIndex, 0, counter);
  packet.set(body, 16);
  return packet;
}

/** Lines by text that the node would print for what it did from effect `from` on, all within one second. */
function printed(node: SimNode, from: number): Map<string, number> {
  const lines = new Map<string, number>();
  const clock = new HeldClock();
  const write = (line: string): void => {
    const { msg } = JSON.parse(line);
    lines.set(msg, (lines.get(msg) ?? 0) + 1);
  };
  const log = new LimitedLog(createLogger({ level: 'debug', format: 'json', disableTimestamp: true, write }), clock);
  for (const effect of node.effects.slice(from)) {
    if (effect.kind === 'log') {
      clock.advance(1000 / COUNT / 8);
      log.log(effect.level, effect.message, effect.fields);
    }
  }
  clock.advance(60_000);
  return lines;
}

describe('simulation: log lines that others cause', () => {
  const floods: readonly (readonly [string, (world: World, a: SimNode, b: SimNode, n: number) => void])[] = [
    [
      'forged first messages, each newer',
      (world, a, b, n) =>
        b.reportHandshake(
          world.now,
          firstMessage(world, a.identity, world.now.unixMs + n),
          ep(`198.51.100.1:${2000 + n}`),
        ),
    ],
    [
      'forged first messages, all too old',
      (world, a, b) => b.reportHandshake(world.now, firstMessage(world, a.identity, 1000), ep('198.51.100.1:2000')),
    ],
    [
      'our own certificate',
      (world, _a, b, n) =>
        b.reportHandshake(world.now, firstMessage(world, b.identity, world.now.unixMs + n), ep('198.51.100.1:2000')),
    ],
    [
      'altered first messages',
      (world, a, b) => {
        const packet = firstMessage(world, a.identity, world.now.unixMs);
        packet[16 + world.random.below(packet.length - 16)] ^= 1 << world.random.below(8);
        b.reportHandshake(world.now, packet, ep('198.51.100.1:2000'));
      },
    ],
    [
      'garbage of type handshake',
      (world, _a, b, n) => b.reportHandshake(world.now, packetOf(0, 1, world.random.bytes(n)), ep('198.51.100.1:2000')),
    ],
    [
      'recv_errors from elsewhere and from the peer',
      (world, a, b, n) => {
        const [host] = b.control.hosts();
        const index = host?.tunnel.remoteIndex ?? n;
        b.reportRecvError(world.now, index, ep('198.51.100.1:2000'));
        b.reportRecvError(world.now, index, a.endpoint);
      },
    ],
    [
      'a peer that roams',
      (world, _a, b, n) => {
        const [{ tunnel }] = b.control.hosts();
        b.control.onRoam(world.now, tunnel.slot, tunnel.generation, ep(`198.51.100.1:${2000 + n}`));
        b.settle(world.now);
      },
    ],
    [
      'a peer that connects and closes',
      (world, a, b) => {
        world.ping(a, b);
        world.run(2);
        const [host] = b.control.hosts();
        if (host !== undefined) {
          b.control.onClose(world.now, host.tunnel.slot, host.tunnel.generation);
          b.settle(world.now);
        }
        a.control.closeAll(world.now);
        a.settle(world.now);
      },
    ],
  ];
  for (const [name, act] of floods) {
    it(`are bounded: ${name}`, () => {
      const world = new World(31);
      const a = world.addNode('alpha');
      const b = world.addNode('beta');
      world.introduceAll();
      world.ping(a, b);
      // Longer than the outbox holds lines back.
      world.run(2000);
      const from = b.effects.length;
      for (let n = 0; n < COUNT; n++) {
        act(world, a, b, n);
      }
      const wanted = b.effects.slice(from).filter((effect) => effect.kind === 'log').length;
      expect(wanted, 'lines that the core asks for').to.be.at.least(1);
      for (const [text, count] of printed(b, from)) {
        expect(count, text).to.be.at.most(LINES_MAX);
      }
    }).timeout(20_000);
  }
});
