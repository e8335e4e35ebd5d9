import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { check, Errno, lastErrno, libc, SysError } from '../../../src/shared/sys/libc.ts';
import { errnoName } from '../../../src/shared/sys/sysError.ts';

describe('SysError', () => {
  it('names call, errno and remedy', () => {
    const error = new SysError('bind', Errno.EADDRINUSE, 'opening UDP port 4242', 'choose another listen.port');
    expect(error.name).to.equal('EADDRINUSE');
    expect(error.call).to.equal('bind');
    expect(error.errno).to.equal(98);
    expect(error.message).to.equal(
      'opening UDP port 4242: bind: address already in use (EADDRINUSE); choose another listen.port',
    );
  });

  it('knows the numbers that libuv lacks, and survives unknown ones', () => {
    expect(errnoName(77)).to.equal('EBADFD');
    expect(new SysError('read', 3999).message).to.equal('read: unknown error (errno 3999)');
  });

  it('is thrown by check with the errno of the call', () => {
    expect(() => check(libc.close(-1), 'close')).to.throw(SysError, 'close: bad file descriptor (EBADF)');
    expect(check(7, 'close')).to.equal(7);
  });

  it('sees the errno of the last call only', () => {
    expect(libc.open('/does/not/exist', 0, 0)).to.equal(-1);
    expect(lastErrno()).to.equal(Errno.ENOENT);
    const fd = openSync('/dev/null', 'r');
    expect(libc.write(fd, 0, 0)).to.equal(-1);
    expect(lastErrno()).to.equal(Errno.EBADF);
    closeSync(fd);
  });
});
