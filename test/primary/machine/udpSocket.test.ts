import { closeSync } from 'node:fs';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import {
  attachSteering,
  openUdpSockets,
  socketMemory,
  type UdpRequest,
  type UdpSockets,
} from '../../../src/primary/machine/udpSocket.ts';
import { type IpAddress, parseAddress } from '../../../src/shared/ip/address.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { check, lastErrno, libc, SysError } from '../../../src/shared/sys/libc.ts';
import { soon } from '../../support/soon.ts';

const arena = new Arena(65536);
const opened: UdpSockets[] = [];

function open(request: Partial<UdpRequest>): UdpSockets {
  const host = parseAddress('127.0.0.1') as IpAddress;
  const sockets = openUdpSockets({ host, port: 0, count: 1, readBuffer: 0, writeBuffer: 0, soMark: 0, ...request });
  opened.push(sockets);
  return sockets;
}

afterEach(() => {
  for (const sockets of opened.splice(0)) {
    sockets.fds.forEach((fd) => {
      closeSync(fd);
    });
  }
});

/** Sends 8 bytes with a label and an index to 127.0.0.1:port. */
function send(fd: number, port: number, label: number, index: number, length = 8): void {
  const { view } = arena;
  view.setUint16(0, 2, true);
  view.setUint16(2, port);
  view.setUint32(4, 0x7f000001);
  view.setUint16(102, label);
  view.setUint32(104, index);
  check(libc.sendto(fd, arena.address + 100, length, 0, arena.address, 16), 'sendto');
}

/** Labels and indexes of everything that waits on a socket, once `count` datagrams have come. */
function received(fd: number, count: number): string[] {
  const messages: string[] = [];
  soon(() => {
    let length = libc.recv(fd, arena.address + 200, 64, 0);
    for (; length >= 0; length = libc.recv(fd, arena.address + 200, 64, 0)) {
      messages.push(length < 8 ? `short ${length}` : `${arena.view.getUint16(202)}/${arena.view.getUint32(204)}`);
    }
    expect(lastErrno()).to.equal(11);
    return messages.length >= count;
  });
  return messages;
}

describe('openUdpSockets', () => {
  it('puts all sockets on the port that the kernel chose for the first', () => {
    const { fds, port, family } = open({ count: 3 });
    expect(fds).to.have.length(3);
    expect(port).to.be.greaterThan(0);
    expect(family).to.equal(4);
  });

  it('refuses a port that another node has, whatever the number of sockets on either side', () => {
    for (const [first, second] of [
      [1, 1],
      [1, 2],
      [3, 1],
      [3, 2],
    ]) {
      const { port } = open({ count: first });
      expect(() => open({ port, count: second })).to.throw(
        SysError,
        `opening UDP socket 127.0.0.1:${port}: bind: address already in use (EADDRINUSE); another process`,
      );
    }
  });

  it('leaves no socket behind when it fails', () => {
    const { port } = open({ count: 2 });
    expect(() => open({ port, count: 2 })).to.throw('EADDRINUSE');
    opened.splice(0).forEach((sockets) => {
      sockets.fds.forEach((fd) => {
        closeSync(fd);
      });
    });
    expect(open({ port, count: 2 }).port).to.equal(port);
  });

  it('explains an address that is not ours', () => {
    expect(() => open({ host: parseAddress('192.0.2.1') as IpAddress })).to.throw(
      'EADDRNOTAVAIL); listen.host is not an address of this machine',
    );
  });

  it('is close-on-exec and non-blocking', () => {
    const { fds } = open({ count: 2 });
    for (const fd of fds) {
      expect(libc.fcntl(fd, 1, 0) & 1).to.equal(1);
      expect(libc.fcntl(fd, 3, 0) & 0o4000).to.equal(0o4000);
    }
  });

  it('sets and reports the buffers that the kernel gave', () => {
    const sockets = open({ count: 2, readBuffer: 100_000, writeBuffer: 80_000 });
    expect(sockets.readBuffer).to.equal(200_000);
    expect(sockets.writeBuffer).to.equal(160_000);
    const memory = socketMemory(sockets.fds[1]);
    expect(memory?.rcvbuf).to.equal(200_000);
    expect(memory?.sndbuf).to.equal(160_000);
    expect(memory?.drops).to.equal(0);
  });

  it('sees the datagrams that the kernel dropped', () => {
    const { fds, port } = open({ readBuffer: 2048 });
    const { fds: senders } = open({});
    for (let index = 0; index < 100; index++) {
      send(senders[0], port, 1, index);
    }
    const dropped = (): number => socketMemory(fds[0])?.drops ?? 0;
    soon(() => dropped() > 0);
    let waiting = 0;
    soon(() => {
      waiting += received(fds[0], 0).length;
      return waiting + dropped() >= 100;
    });
    expect(dropped()).to.equal(100 - waiting);
    expect(dropped()).to.be.greaterThan(0);
  });

  it('opens IPv6 sockets that also speak IPv4', () => {
    const { fds, port, family } = open({ host: parseAddress('::') as IpAddress, count: 2 });
    attachSteering(fds);
    const { fds: senders } = open({});
    send(senders[0], port, 0, 5);
    expect(family).to.equal(6);
    expect(received(fds[1], 1)).to.deep.equal(['0/5']);
  });
});

describe('attachSteering', () => {
  it('spreads by index, and by label where there is one', () => {
    const { fds, port } = open({ count: 3 });
    attachSteering(fds);
    const { fds: senders } = open({});
    for (let index = 30; index < 36; index++) {
      send(senders[0], port, 0, index);
    }
    for (let label = 1; label < 7; label++) {
      send(senders[0], port, label, 30);
    }
    expect(received(fds[0], 4)).to.deep.equal(['0/30', '0/33', '3/30', '6/30']);
    expect(received(fds[1], 4)).to.deep.equal(['0/31', '0/34', '1/30', '4/30']);
    expect(received(fds[2], 4)).to.deep.equal(['0/32', '0/35', '2/30', '5/30']);
  });

  it('keeps a tunnel on its socket when the source changes, and gives short datagrams to socket 0', () => {
    const { fds, port } = open({ count: 3 });
    attachSteering(fds);
    for (let source = 0; source < 8; source++) {
      const { fds: senders } = open({});
      send(senders[0], port, 0, 2);
      send(senders[0], port, 2, 2, 7);
      send(senders[0], port, 2, 2, 1);
    }
    expect(received(fds[0], 16)).to.have.members(
      Array.from({ length: 16 }, (_, index) => `short ${index % 2 ? 1 : 7}`),
    );
    expect(received(fds[2], 8)).to.have.length(8);
    expect(received(fds[1], 0)).to.deep.equal([]);
  });

  it('has nothing to do for one socket', () => {
    const { fds, port } = open({});
    attachSteering(fds);
    const { fds: senders } = open({});
    send(senders[0], port, 3, 4);
    expect(received(fds[0], 1)).to.deep.equal(['3/4']);
  });
});
