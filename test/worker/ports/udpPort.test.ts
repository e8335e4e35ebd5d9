import { closeSync } from 'node:fs';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { openUdpSockets, socketMemory } from '../../../src/primary/machine/udpSocket.ts';
import { type IpAddress, parseAddress, writeMapped } from '../../../src/shared/ip/address.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import {
  copySocketAddress,
  isSameSocketAddress,
  SocketFamily,
  socketAddressPort,
  writeSocketAddress,
} from '../../../src/shared/tunnel/socketAddress.ts';
import { isKernelSince, UdpPort } from '../../../src/worker/ports/udpPort.ts';
import { Random } from '../../support/random.ts';
import { soon } from '../../support/soon.ts';

const fds: number[] = [];

afterEach(() => {
  for (const fd of fds.splice(0)) {
    closeSync(fd);
  }
});

interface End {
  readonly fd: number;
  readonly arena: Arena;
  readonly udp: UdpPort;
  readonly port: number;
  readonly family: SocketFamily;
}

function open(host: string, options: { offloads?: boolean; batch?: number } = {}): End {
  const address = parseAddress(host) as IpAddress;
  const sockets = openUdpSockets({
    host: address,
    port: 0,
    count: 1,
    readBuffer: 4 << 20,
    writeBuffer: 4 << 20,
    soMark: 0,
  });
  fds.push(...sockets.fds);
  const arena = new Arena(32 << 20);
  const family = sockets.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
  const { offloads = true, batch = 64 } = options;
  const udp = new UdpPort(arena, { fd: sockets.fds[0], family, batch, offloads });
  return { fd: sockets.fds[0], arena, udp, port: sockets.port, family };
}

/** A socket address in `end`'s arena. */
function destination(end: End, host: string, port: number): number {
  const offset = end.arena.allocate(64);
  const mapped = new Uint8Array(16);
  writeMapped(parseAddress(host) as IpAddress, mapped, 0);
  expect(writeSocketAddress(end.arena, offset, end.family, mapped, 0, port)).to.equal(true);
  return offset;
}

function queue(end: End, payload: Uint8Array, to: number): void {
  const offset = end.udp.reserve(payload.length);
  expect(offset).to.be.at.least(0);
  end.arena.bytes.set(payload, offset);
  end.udp.commit(payload.length, to);
}

/** Everything that waits once `expected` datagrams have come, cut into datagrams. */
function drain(end: End, expected: number): Buffer[] {
  const datagrams: Buffer[] = [];
  soon(() => {
    take(end, datagrams);
    return datagrams.length >= expected;
  });
  return datagrams;
}

function take(end: End, datagrams: Buffer[]): void {
  for (let count = end.udp.receive(); count > 0; count = end.udp.receive()) {
    for (let index = 0; index < count; index++) {
      const start = end.udp.offsets[index];
      const stop = start + end.udp.lengths[index];
      for (let offset = start; offset < stop; offset += end.udp.segmentSizes[index]) {
        const length = Math.min(end.udp.segmentSizes[index], stop - offset);
        datagrams.push(Buffer.from(end.arena.bytes.slice(offset, offset + length)));
      }
    }
  }
}

function texts(datagrams: readonly Uint8Array[]): string[] {
  return datagrams.map((datagram) => Buffer.from(datagram).toString('hex'));
}

const Addresses = [
  ['IPv4', '127.0.0.1', '127.0.0.1'],
  ['IPv6', '::1', '::1'],
  ['IPv4 on a dual-stack socket', '::', '127.0.0.1'],
] as const;

describe('UdpPort', () => {
  for (const [label, host, target] of Addresses) {
    for (const offloads of [true, false]) {
      it(`carries datagrams of any size unchanged and in order: ${label}, offloads ${offloads ? 'on' : 'off'}`, () => {
        const random = new Random(7);
        const from = open(host, { offloads });
        const to = open(host, { offloads });
        const there = destination(from, target, to.port);
        for (let round = 0; round < 10; round++) {
          const payloads: Uint8Array[] = [];
          for (let run = 0; run < 6; run++) {
            const size = random.pick([1, 16, 100, 1200, 1400, 9000]);
            for (let index = random.below(70); index >= 0; index--) {
              payloads.push(random.bytes(index === 0 && random.bool() ? 1 + random.below(size) : size));
            }
          }
          const got: Buffer[] = [];
          let waitingBytes = 0;
          payloads.forEach((payload, index) => {
            queue(from, payload, there);
            waitingBytes += 1000 + payload.length;
            // Not more at a time than the default buffers of a socket hold.
            if (waitingBytes > 60_000 || index === payloads.length - 1) {
              waitingBytes = 0;
              expect(from.udp.flush()).to.equal(0);
              got.push(...drain(to, index + 1 - got.length));
            }
          });
          expect(texts(got)).to.deep.equal(texts(payloads));
        }
        expect(from.udp.sender.droppedCount).to.equal(0);
        expect(from.udp.isSegmenting).to.equal(offloads);
        expect(to.udp.isGro).to.equal(offloads);
      });
    }

    it(`names the source, and joins and splits in the kernel: ${label}`, () => {
      const from = open(host);
      const to = open(host);
      const there = destination(from, target, to.port);
      for (let index = 0; index < 50; index++) {
        queue(from, new Uint8Array(1200).fill(index), there);
      }
      expect(from.udp.flush()).to.equal(0);
      expect([from.udp.sender.callCount, from.udp.sender.runCount]).to.deep.equal([1, 1]);
      let messages = 0;
      soon(() => {
        messages = to.udp.receive();
        return messages !== 0;
      });
      expect(messages).to.equal(1);
      expect([to.udp.lengths[0], to.udp.segmentSizes[0]]).to.deep.equal([60_000, 1200]);
      const source = to.udp.sources[0];
      expect(socketAddressPort(to.arena, source)).to.equal(from.port);
      const words = new Uint8Array(16);
      const expected = new Uint8Array(16);
      copySocketAddress(to.arena, source, words, 0);
      writeMapped(parseAddress(target) as IpAddress, expected, 0);
      expect(words).to.deep.equal(expected);
      expect(isSameSocketAddress(to.arena, source, destination(to, target, from.port), to.family)).to.equal(true);
      expect(isSameSocketAddress(to.arena, source, destination(to, target, to.port), to.family)).to.equal(false);
      queue(to, Uint8Array.of(1, 2, 3), source);
      expect(to.udp.flush()).to.equal(0);
      expect(texts(drain(from, 1))).to.deep.equal(['010203']);
    });
  }

  it('receives at most one batch per call', () => {
    const from = open('127.0.0.1', { offloads: false });
    const to = open('127.0.0.1', { offloads: false, batch: 8 });
    const there = destination(from, '127.0.0.1', to.port);
    const waitingBytes = (): number => socketMemory(to.fd)?.rmemAlloc ?? 0;
    queue(from, Uint8Array.of(0), there);
    from.udp.flush();
    soon(() => waitingBytes() > 0);
    const each = waitingBytes();
    for (let index = 1; index < 20; index++) {
      queue(from, Uint8Array.of(index), there);
    }
    from.udp.flush();
    soon(() => waitingBytes() >= 20 * each);
    expect([to.udp.receive(), to.udp.receive(), to.udp.receive(), to.udp.receive()]).to.deep.equal([8, 8, 4, 0]);
  });

  it('uses no joining with a batch of one', () => {
    expect(open('127.0.0.1', { batch: 1 }).udp.isGro).to.equal(false);
  });

  it('drops and tells of a datagram longer than its buffer', () => {
    const from = open('127.0.0.1', { offloads: false });
    const to = open('127.0.0.1', { offloads: false });
    const there = destination(from, '127.0.0.1', to.port);
    queue(from, new Uint8Array(20_000), there);
    from.udp.flush();
    soon(() => to.udp.receive() === 1);
    expect([to.udp.lengths[0], to.udp.segmentSizes[0]], 'the cut one').to.deep.equal([0, 1]);
    queue(from, new Uint8Array(9216), there);
    from.udp.flush();
    expect(drain(to, 1).map((datagram) => datagram.length)).to.deep.equal([9216]);
  });

  it('receives more datagrams at a time while they are few bytes, up to its batch, and fewer when they are many', () => {
    const from = open('127.0.0.1', { offloads: false });
    const to = open('127.0.0.1', { offloads: false });
    const there = destination(from, '127.0.0.1', to.port);
    const receive = (bytes: number, count: number): number[] => {
      for (let index = 0; index < count; index++) {
        queue(from, new Uint8Array(bytes), there);
      }
      from.udp.flush();
      // The kernel charges at least 512 bytes for a datagram, however short.
      soon(() => (socketMemory(to.fd)?.rmemAlloc ?? 0) >= Math.max(bytes, 512) * count);
      const counts: number[] = [];
      for (let got = to.udp.receive(); got > 0; got = to.udp.receive()) {
        counts.push(got);
      }
      return counts;
    };
    expect(receive(10, 100)).to.deep.equal([8, 16, 32, 44]);
    // 64 of these are more than 256 KiB, which only root's sockets may hold.
    if (process.getuid?.() === 0) {
      expect(receive(9216, 72)).to.deep.equal([64, 8]);
      expect(receive(10, 72)).to.deep.equal([32, 40]);
    }
  });

  it('goes on with the other destinations when one cannot be reached', () => {
    const from = open('127.0.0.1');
    const to = open('127.0.0.1');
    const there = destination(from, '127.0.0.1', to.port);
    // A socket bound to 127.0.0.1 cannot send to the outside.
    const nowhere = destination(from, '192.0.2.1', 9);
    queue(from, Uint8Array.of(1), there);
    queue(from, Uint8Array.of(2), nowhere);
    queue(from, Uint8Array.of(3), there);
    expect(from.udp.flush()).to.equal(0);
    expect(texts(drain(to, 2))).to.deep.equal(['01', '03']);
    expect(from.udp.sender.droppedCount).to.equal(1);
  });

  it('receives again after an empty datagram', () => {
    const from = open('127.0.0.1');
    const to = open('127.0.0.1');
    const there = destination(from, '127.0.0.1', to.port);
    queue(from, new Uint8Array(0), there);
    queue(from, Uint8Array.of(9), there);
    from.udp.flush();
    expect(texts(drain(to, 1))).to.deep.equal(['09']);
  });

  it('reports a socket that is gone', () => {
    const end = open('127.0.0.1');
    const there = destination(end, '127.0.0.1', 9);
    closeSync(fds.pop() as number);
    expect(end.udp.receive()).to.equal(-9);
    queue(end, Uint8Array.of(1), there);
    expect(end.udp.flush()).to.equal(-9);
  });

  it('reads kernel releases', () => {
    expect(isKernelSince('5.12.0', 5, 12)).to.equal(true);
    expect(isKernelSince('6.1.0-18-amd64', 5, 12)).to.equal(true);
    expect(isKernelSince('5.4.0', 5, 12)).to.equal(false);
    expect(isKernelSince('4.20', 5, 12)).to.equal(false);
    expect(isKernelSince('unknown', 5, 12)).to.equal(false);
  });
});
