/**
 * A worker's device and socket survive the worker: the parent keeps its copies, the next child takes over.
 */
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Netlink } from '../../src/primary/machine/netlink.ts';
import { attachSteering, openUdpSockets } from '../../src/primary/machine/udpSocket.ts';
import { type IpAddress, type Prefix, parseAddress, parsePrefix } from '../../src/shared/ip/address.ts';
import { openTunQueues } from '../../src/shared/sys/tun.ts';
import { forkConfined } from '../support/confinedChild.ts';
import { useNamespace } from '../support/namespace.ts';

const ChildProgram = fileURLToPath(new URL('fdsPortsChild.js', import.meta.url));

describe('inherited device and socket (root)', function () {
  this.timeout(20_000);
  useNamespace('creating tun devices');

  it('are used by an unprivileged child, and by the next one after it was killed', async () => {
    const tun = openTunQueues({ name: 'wsys3', queues: 1, offloads: true });
    const netlink = new Netlink();
    const linkIndex = netlink.link('wsys3')?.index ?? 0;
    netlink.setLink(linkIndex, { noIpv6LinkLocal: true, mtu: 1300, isUp: true });
    netlink.addAddress({ linkIndex, prefix: parsePrefix('10.8.0.1/24') as Prefix });
    netlink.setLink(1, { isUp: true });
    netlink.close();
    const host = parseAddress('127.0.0.1') as IpAddress;
    const udp = openUdpSockets({ host, port: 0, count: 2, readBuffer: 0, writeBuffer: 0, soMark: 0 });
    attachSteering(udp.fds);
    const client = createSocket('udp4');

    const first = start(tun.fds[0], udp.fds[1]);
    expect(await message(first.child)).to.equal(`ready ${first.uid}`);
    // Steered to socket 1 by the index, and into the device by its route.
    client.send(datagram(1), udp.port, '127.0.0.1');
    expect(await message(first.child)).to.equal('udp 16 1');
    client.send('to the overlay', 7, '10.8.0.9');
    expect(await message(first.child)).to.equal('tun 42');
    first.child.kill('SIGKILL');
    expect(await first.exit).to.equal('SIGKILL');

    // Nobody reads now: both wait in the kernel for the next child.
    client.send(datagram(3), udp.port, '127.0.0.1');
    client.send('to the overlay again', 7, '10.8.0.9');
    const second = start(tun.fds[0], udp.fds[1]);
    expect(await message(second.child)).to.equal(`ready ${second.uid}`);
    const two = [await message(second.child), await message(second.child)];
    expect(two).to.have.members(['udp 16 3', 'tun 48']);
    second.child.kill('SIGKILL');
    await second.exit;

    client.close();
    for (const fd of [...tun.fds, ...udp.fds]) {
      closeSync(fd);
    }
  });
});

function datagram(index: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(4, index);
  return bytes;
}

interface Started {
  readonly uid: number;
  readonly child: ChildProcess;
  readonly exit: Promise<number | NodeJS.Signals | null>;
}

const queues = new WeakMap<ChildProcess, { messages: unknown[]; waiting: ((value: unknown) => void)[] }>();

function start(tunFd: number, udpFd: number): Started {
  const { child, user } = forkConfined(ChildProgram, [], [tunFd, udpFd]);
  const queue = { messages: [] as unknown[], waiting: [] as ((value: unknown) => void)[] };
  queues.set(child, queue);
  child.on('message', (value) => {
    const taker = queue.waiting.shift();
    if (taker === undefined) {
      queue.messages.push(value);
    } else {
      taker(value);
    }
  });
  const exit = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => {
      const result = signal ?? code;
      queue.waiting.splice(0).forEach((taker) => {
        taker(`exit ${result}`);
      });
      resolve(result);
    });
  });
  return { child, exit, uid: user.uid };
}

/** The next message of the child, or how it ended. */
function message(child: ChildProcess): Promise<unknown> {
  const queue = queues.get(child);
  const next = queue?.messages.shift();
  return next === undefined ? new Promise((resolve) => queue?.waiting.push(resolve)) : Promise.resolve(next);
}
