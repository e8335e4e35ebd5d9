import { expect } from 'chai';
import { describe, it } from 'mocha';
import { openUdpSockets } from '../../../src/primary/machine/udpSocket.ts';
import { Underlay } from '../../../src/primary/machine/underlay.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { Errno, libc } from '../../../src/shared/sys/libc.ts';
import { SocketFamily } from '../../../src/shared/tunnel/socketAddress.ts';
import { ep, ip } from '../../support/addresses.ts';

describe("the primary's own way onto the underlay", () => {
  it('refuses what is longer than a datagram instead of writing on into what lies behind', () => {
    const request = { host: ip('127.0.0.1'), port: 0, count: 1, readBuffer: 0, writeBuffer: 0, soMark: 0 };
    const { fds, port } = openUdpSockets(request);
    const underlay = new Underlay(fds[0], SocketFamily.Ipv4, new Arena(1 << 20));
    const target = ep(`127.0.0.1:${port}`);
    expect(underlay.send(target, new Uint8Array(100))).to.equal(0);
    expect(underlay.send(target, new Uint8Array(65_508))).to.equal(Errno.EMSGSIZE);
    expect(underlay.placeBody(new Uint8Array(65_507 - 32))).to.equal(true);
    expect(underlay.placeBody(new Uint8Array(65_507 - 31))).to.equal(false);
    expect(underlay.placeBody(new Uint8Array(4_700_000))).to.equal(false);
    libc.close(fds[0]);
  });

  it('sends nothing to an endpoint that lies behind the overlay itself', () => {
    const request = { host: ip('127.0.0.1'), port: 0, count: 1, readBuffer: 0, writeBuffer: 0, soMark: 0 };
    const { fds, port } = openUdpSockets(request);
    const guard = { isLoop: ({ text }: { text: string }) => text === '127.0.0.2:1' };
    const underlay = new Underlay(fds[0], SocketFamily.Ipv4, new Arena(1 << 20), guard);
    expect(underlay.send(ep('127.0.0.2:1'), new Uint8Array(1))).to.equal(Errno.ELOOP);
    expect(underlay.send(ep(`127.0.0.1:${port}`), new Uint8Array(1))).to.equal(0);
    libc.close(fds[0]);
  });
});
