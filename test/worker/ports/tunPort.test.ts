/**
 * The tun port against the kernel: a mirror on a tun device in a namespace of its own.
 *
 * The device has 10.9.0.1 and fd09::1. The mirror swaps source and destination address of every packet it reads and
 * writes it back. So a connection to 10.9.0.2 is answered by this host's own server, and both directions pass through
 * the port twice. Swapping addresses leaves every checksum as it is, also the partial one of a super-packet.
 */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { Netlink } from '../../../src/primary/machine/netlink.ts';
import { openUdpSockets } from '../../../src/primary/machine/udpSocket.ts';
import { type IpAddress, type Prefix, parseAddress, parsePrefix, writeMapped } from '../../../src/shared/ip/address.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { Errno } from '../../../src/shared/sys/libc.ts';
import { FdWatcher } from '../../../src/shared/sys/poll.ts';
import { openTunQueues, type TunOffload } from '../../../src/shared/sys/tun.ts';
import { SocketFamily, writeSocketAddress } from '../../../src/shared/tunnel/socketAddress.ts';
import { TUN_PIECES_MAX, TUN_RECEIVE_MAX, TunPort } from '../../../src/worker/ports/tunPort.ts';
import { UdpPort } from '../../../src/worker/ports/udpPort.ts';
import { GsoType, VirtioFlag } from '../../../src/worker/ports/virtio.ts';
import { run, useNamespace } from '../../support/namespace.ts';
import { Random } from '../../support/random.ts';

const Mtu = 1300;

interface UdpEnd {
  readonly fd: number;
  readonly port: number;
  readonly family: SocketFamily;
  readonly udp: UdpPort;
}

describe('TunPort (root)', function () {
  this.timeout(20_000);
  let netlink: Netlink;
  let arena: Arena;
  let tun: TunPort;
  let offload: TunOffload;
  let fd = -1;
  /** Arena offset of a socket address. */
  let destination = 0;
  const fds: number[] = [];
  const watchers: FdWatcher[] = [];

  useNamespace('creating tun devices');

  before(() => {
    netlink = new Netlink();
  });

  after(() => netlink?.close());

  afterEach(() => {
    for (const watcher of watchers.splice(0)) {
      watcher.close();
    }
    for (const socket of [fd, ...fds.splice(0)]) {
      closeSync(socket);
    }
  });

  function start(offloads: boolean, receiveBytes?: number): void {
    const queues = openTunQueues({ name: 'wsys2', queues: 1, offloads });
    fd = queues.fds[0];
    offload = queues.offload;
    const linkIndex = netlink.link('wsys2')?.index ?? 0;
    netlink.setLink(linkIndex, { noIpv6LinkLocal: true, mtu: Mtu, isUp: true });
    for (const text of ['10.9.0.1/24', 'fd09::1/64']) {
      netlink.addAddress({ linkIndex, prefix: parsePrefix(text) as Prefix });
    }
    arena = new Arena(32 << 20);
    destination = arena.allocate(32);
    const options = { fd, vnetHeader: offload.vnetHeader };
    tun = new TunPort(arena, receiveBytes === undefined ? options : { ...options, receiveBytes });
  }

  /** Swaps the addresses of packet i. */
  function swapAddresses(index: number): void {
    const { bytes } = arena;
    const isIpv4 = bytes[tun.offsets[index]] >> 4 === 4;
    const source = tun.offsets[index] + (isIpv4 ? 12 : 8);
    const size = isIpv4 ? 4 : 16;
    const kept = bytes.slice(source, source + size);
    bytes.copyWithin(source, source + size, source + 2 * size);
    bytes.set(kept, source + size);
  }

  /** Writes packet i back: a plain one as it is, one with work left for the kernel in pieces. */
  function writeBack(index: number): void {
    const offset = tun.offsets[index];
    const length = tun.lengths[index];
    if (tun.flags[index] === 0 && tun.gsoTypes[index] === GsoType.None) {
      expect(tun.write(offset, length)).to.equal(0);
      return;
    }
    tun.beginGather();
    const piece = Math.max(Math.ceil(length / 64), 40);
    for (let at = 0; at < length; at += piece) {
      expect(tun.addPiece(offset + at, Math.min(piece, length - at))).to.equal(true);
    }
    expect(tun.gatheredBytes).to.equal(length);
    const transport = tun.checksumStarts[index];
    const headers =
      transport + (tun.gsoTypes[index] === GsoType.Udp ? 8 : (arena.bytes[offset + transport + 12] >> 4) * 4);
    const result = tun.finishGather(
      tun.flags[index],
      tun.gsoTypes[index],
      headers,
      tun.gsoSizes[index],
      transport,
      tun.checksumOffsets[index],
    );
    expect(result).to.equal(0);
  }

  /** Mirrors everything; returns the counts of super-packets by type. */
  function mirror(onError: (error: unknown) => void): Map<number, number> {
    const seen = new Map<number, number>();
    const watcher = new FdWatcher(
      fd,
      () => {
        const count = tun.receive(TUN_RECEIVE_MAX);
        expect(count).to.be.at.least(0);
        for (let index = 0; index < count; index++) {
          seen.set(tun.gsoTypes[index], (seen.get(tun.gsoTypes[index]) ?? 0) + 1);
          expect(tun.offsets[index] % 16).to.equal(0);
          expect(tun.gsoTypes[index] === GsoType.None ? tun.lengths[index] : 0).to.be.at.most(Mtu);
          swapAddresses(index);
          writeBack(index);
        }
      },
      onError,
    );
    watchers.push(watcher);
    return seen;
  }

  /** Sends bytes by TCP through the mirror and returns the hash of what arrived. */
  function transfer(
    target: string,
    local: string,
    payload: Buffer,
    onError: (error: unknown) => void,
  ): Promise<string> {
    return new Promise((resolve) => {
      const hash = createHash('sha256');
      const server: Server = createServer((socket) => {
        socket.on('data', (chunk) => hash.update(chunk));
        socket.on('end', () => {
          socket.end();
          server.close();
        });
        socket.on('error', onError);
      });
      server.on('error', onError);
      server.listen(4000, local, () => {
        const client = connect(4000, target, () => client.end(payload));
        client.on('error', onError);
        // Not before: without the mirror it would never end, and neither would the test run.
        client.on('close', () => resolve(hash.digest('hex')));
      });
    });
  }

  function openUdp(host: string, writeBuffer = 1 << 20): UdpEnd {
    const sockets = openUdpSockets({
      host: parseAddress(host) as IpAddress,
      port: 0,
      count: 1,
      readBuffer: 1 << 20,
      writeBuffer,
      soMark: 0,
    });
    const family = sockets.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
    fds.push(sockets.fds[0]);
    const options = { fd: sockets.fds[0], family, batch: 16, offloads: true };
    return { fd: sockets.fds[0], port: sockets.port, family, udp: new UdpPort(arena, options) };
  }

  function queue(end: UdpEnd, payload: Uint8Array, target: string, port: number): void {
    const mapped = new Uint8Array(16);
    writeMapped(parseAddress(target) as IpAddress, mapped, 0);
    writeSocketAddress(arena, destination, end.family, mapped, 0, port);
    const offset = end.udp.reserve(payload.length);
    expect(offset).to.be.at.least(0);
    arena.bytes.set(payload, offset);
    end.udp.commit(payload.length, destination);
  }

  /** Notes length × 1000 + first byte of every datagram that waits; calls `done` when `count` are there. */
  function collect(end: UdpEnd, received: number[], count: number, done: () => void): void {
    const messages = end.udp.receive();
    for (let index = 0; index < messages; index++) {
      const start = end.udp.offsets[index];
      const stop = start + end.udp.lengths[index];
      for (let offset = start; offset < stop; offset += end.udp.segmentSizes[index]) {
        received.push(Math.min(end.udp.segmentSizes[index], stop - offset) * 1000 + arena.bytes[offset]);
      }
    }
    if (received.length >= count) {
      done();
    }
  }

  for (const offloads of [true, false]) {
    for (const [target, local, type] of [
      ['10.9.0.2', '10.9.0.1', GsoType.Tcp4],
      ['fd09::2', 'fd09::1', GsoType.Tcp6],
    ] as const) {
      it(`carries TCP to ${target} unchanged, offloads ${offloads ? 'on' : 'off'}`, async () => {
        start(offloads);
        const payload = Buffer.from(new Random(11).bytes(offloads ? 8 << 20 : 2 << 20));
        let seen = new Map<number, number>();
        const hash = await new Promise<string>((resolve, reject) => {
          seen = mirror(reject);
          transfer(target, local, payload, reject).then(resolve, reject);
        });
        expect(hash).to.equal(createHash('sha256').update(payload).digest('hex'));
        expect(seen.get(type) ?? 0).to.satisfy((count: number) => (offloads ? count > 50 : count === 0));
        expect(tun.droppedCount).to.equal(0);
        expect(tun.writtenCount).to.equal(tun.readCount);
      });
    }
  }

  for (const [target, host] of [
    ['10.9.0.2', '10.9.0.1'],
    ['fd09::2', 'fd09::1'],
  ]) {
    it(`takes and gives super-packets of UDP to ${target} where the kernel has them`, async () => {
      start(true);
      const from = openUdp(host);
      const to = openUdp(host);
      for (let index = 0; index < 30; index++) {
        queue(from, new Uint8Array(index === 29 ? 700 : 1000).fill(index), target, to.port);
      }
      expect(from.udp.flush()).to.equal(0);
      let seen = new Map<number, number>();
      const received: number[] = [];
      await new Promise<void>((resolve, reject) => {
        seen = mirror(reject);
        watchers.push(new FdWatcher(to.fd, () => collect(to, received, 30, resolve), reject));
      });
      expect(received).to.deep.equal([...Array.from({ length: 29 }, (_, index) => 1_000_000 + index), 700_029]);
      expect(seen.get(GsoType.Udp) ?? 0).to.equal(offload.uso ? 1 : 0);
      expect(tun.droppedCount).to.equal(0);
    });
  }

  it('makes a sender whose route is slow wait for writability, without losing a datagram', async () => {
    start(true);
    run('tc qdisc add dev wsys2 root tbf rate 20mbit burst 16kb limit 20mb');
    const from = openUdp('10.9.0.1', 50_000);
    const to = openUdp('10.9.0.1');
    const count = 600;
    let queued = 0;
    let waits = 0;
    const received: number[] = [];
    await new Promise<void>((resolve, reject) => {
      mirror(reject);
      watchers.push(new FdWatcher(to.fd, () => collect(to, received, count, resolve), reject));
      const fill = (writable: boolean): void => {
        waits += writable ? 1 : 0;
        let left = from.udp.flush();
        while (left === 0 && queued < count) {
          for (let index = 0; index < 20; index++) {
            queue(from, new Uint8Array(1000).fill(queued++ & 0xff), '10.9.0.2', to.port);
          }
          left = from.udp.flush();
        }
        sending.watchWritable(left > 0);
      };
      const sending = new FdWatcher(from.fd, (_, writable) => fill(writable), reject);
      watchers.push(sending);
      fill(false);
    });
    expect(received).to.deep.equal(Array.from({ length: count }, (_, index) => 1_000_000 + (index & 0xff)));
    expect(waits).to.be.greaterThan(0);
    expect([from.udp.sender.sentCount, from.udp.sender.droppedCount]).to.deep.equal([count, 0]);
  });

  it('reads up to the limit given, in order, and the rest later', async () => {
    start(true);
    const socket = createSocket('udp4');
    for (let index = 0; index < 10; index++) {
      await new Promise((resolve) => socket.send(Uint8Array.of(index), 9, '10.9.0.2', resolve));
    }
    socket.close();
    const seen: number[] = [];
    for (const expected of [4, 4, 2, 0]) {
      expect(tun.receive(4)).to.equal(expected);
      for (let index = 0; index < expected; index++) {
        expect([tun.lengths[index], tun.flags[index]]).to.deep.equal([29, VirtioFlag.NeedsChecksum]);
        expect([tun.checksumStarts[index], tun.checksumOffsets[index]]).to.deep.equal([20, 6]);
        seen.push(arena.bytes[tun.offsets[index] + 28]);
      }
    }
    expect(seen).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('reads one at a time where there is room for one largest packet only', async () => {
    start(false, 1);
    const socket = createSocket('udp4');
    for (let index = 0; index < 3; index++) {
      await new Promise((resolve) => socket.send(Uint8Array.of(index), 9, '10.9.0.2', resolve));
    }
    socket.close();
    expect([tun.receive(9), tun.receive(9), tun.receive(9), tun.receive(9)]).to.deep.equal([1, 1, 1, 0]);
  });

  it('counts what the device does not take, and goes on', () => {
    start(true);
    const offset = arena.allocate(64, 16);
    expect(tun.write(offset, 40)).to.equal(0);
    expect([tun.droppedCount, tun.lastDropErrno, tun.writtenCount]).to.deep.equal([1, Errno.EINVAL, 0]);
    run('ip link set wsys2 down');
    arena.bytes[offset] = 0x45;
    expect(tun.write(offset, 40)).to.equal(0);
    expect([tun.droppedCount, tun.lastDropErrno]).to.deep.equal([2, Errno.EIO]);
    run('ip link set wsys2 up');
    expect(tun.write(offset, 40)).to.equal(0);
    expect([tun.droppedCount, tun.writtenCount]).to.deep.equal([2, 1]);
  });

  it('refuses more pieces than fit, and starts anew', () => {
    start(false);
    tun.beginGather();
    let added = 0;
    while (tun.addPiece(0, 1)) {
      added++;
    }
    expect(added).to.equal(TUN_PIECES_MAX - 1);
    tun.beginGather();
    expect(tun.gatheredBytes).to.equal(0);
    expect(tun.addPiece(0, 20)).to.equal(true);
  });

  it('reports a device that is gone', () => {
    start(true);
    run('ip link del wsys2');
    expect(tun.receive(8)).to.equal(-Errno.EBADFD);
    expect(tun.write(0, 40)).to.equal(-Errno.EBADFD);
  });
});
