import { expect } from 'chai';
import { describe, it } from 'mocha';
import { openUdpSockets } from '../../../src/primary/machine/udpSocket.ts';
import { keepNonBlocking, libc } from '../../../src/shared/sys/libc.ts';
import { ip } from '../../support/addresses.ts';

const GET_FLAGS = 3;
const SET_FLAGS = 4;
const NON_BLOCKING = 0o4000;

describe('keepNonBlocking', () => {
  it('makes a socket non-blocking again that somebody who shares it made blocking', () => {
    const { fds } = openUdpSockets({
      host: ip('127.0.0.1'),
      port: 0,
      count: 1,
      readBuffer: 0,
      writeBuffer: 0,
      soMark: 0,
    });
    const flags = libc.fcntl(fds[0], GET_FLAGS, 0);
    expect(flags & NON_BLOCKING).to.equal(NON_BLOCKING);
    libc.fcntl(fds[0], SET_FLAGS, flags & ~NON_BLOCKING);
    expect(libc.fcntl(fds[0], GET_FLAGS, 0) & NON_BLOCKING).to.equal(0);
    keepNonBlocking(fds[0]);
    expect(libc.fcntl(fds[0], GET_FLAGS, 0)).to.equal(flags);
    libc.close(fds[0]);
    expect(() => keepNonBlocking(fds[0])).to.throw('EBADF');
  });
});
