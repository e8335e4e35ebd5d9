import { closeSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { libc, SysError } from '../../../src/shared/sys/libc.ts';
import { openTunQueues, type TunQueues, type TunRequest } from '../../../src/shared/sys/tun.ts';
import { run, useNamespace } from '../../support/namespace.ts';

describe('openTunQueues (root)', () => {
  const opened: number[] = [];

  useNamespace('creating tun devices');

  afterEach(() => {
    for (const fd of opened.splice(0)) {
      closeSync(fd);
    }
  });

  function open(request: Partial<TunRequest> = {}, path?: string): TunQueues {
    const queues = openTunQueues({ name: 'wsys0', queues: 1, offloads: false, ...request }, path);
    opened.push(...queues.fds);
    return queues;
  }

  it('creates a device with one queue, and takes it away when the fd closes', () => {
    expect(open().name).to.equal('wsys0');
    expect(run('ip -d link show wsys0')).to.match(/tun type tun pi off vnet_hdr off/);
    closeSync(opened.pop() as number);
    expect(() => run('ip link show wsys0')).to.throw();
  });

  it('opens several queues, all non-blocking and close-on-exec', () => {
    const { fds } = open({ queues: 3 });
    expect(fds).to.have.length(3);
    expect(run('ip -d link show wsys0')).to.match(/multi_queue numqueues 3 /);
    for (const fd of fds) {
      expect(libc.fcntl(fd, 1, 0) & 1).to.equal(1);
      expect(libc.fcntl(fd, 3, 0) & 0o4000).to.equal(0o4000);
    }
  });

  for (const queues of [1, 3]) {
    it(`negotiates offloads, the same on ${queues} queue(s)`, () => {
      const { offload } = open({ queues, offloads: true });
      expect(offload.vnetHeader).to.equal(true);
      expect(offload.tso).to.equal(true);
      expect(offload.uso).to.be.a('boolean');
      expect(run('ip -d link show wsys0')).to.match(/vnet_hdr on/);
    });
  }

  it('lets the kernel choose the name, or its number', () => {
    expect(open({ name: '' }).name).to.match(/^tun\d+$/);
    expect(open({ name: 'wsy%d' }).name).to.equal('wsy0');
    expect(open({ name: 'wsy%d', queues: 2 }).name).to.equal('wsy1');
  });

  it('refuses to join a device that another node has, whatever its number of queues', () => {
    for (const [first, second] of [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
    ]) {
      open({ queues: first });
      expect(() => open({ queues: second })).to.throw(
        SysError,
        'creating tun device wsys0: ioctl(TUNSETIFF): resource busy or locked (EBUSY); a device of this name exists',
      );
      expect(() => open({ queues: second, offloads: true })).to.throw('EBUSY');
      opened.splice(0).forEach((fd) => {
        closeSync(fd);
      });
    }
  });

  it('leaves nothing behind when a later queue fails', () => {
    expect(() => open({ name: 'lo', queues: 2 })).to.throw('EBUSY');
    expect(() => open({ queues: 257 })).to.throw(RangeError, '1 to 256 queues');
    expect(() => open({ queues: 0 })).to.throw(RangeError);
    expect(() => open({ name: 'a/b' })).to.throw(RangeError, 'tun device name "a/b"');
    expect(run('ip link').includes('wsys0')).to.equal(false);
  });

  it('makes a missing device node for root only', () => {
    // The device file system, as a temporary directory may be mounted without devices.
    const directory = mkdtempSync('/dev/wsys-');
    try {
      const path = `${directory}/net/tun`;
      expect(open({}, path).name).to.equal('wsys0');
      const status = statSync(path);
      expect(status.isCharacterDevice()).to.equal(true);
      expect([status.rdev, status.mode & 0o777]).to.deep.equal([(10 << 8) | 200, 0o600]);
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(existsSync(directory)).to.equal(false);
  });

  it('explains a device node that cannot be made or opened', () => {
    expect(() => open({}, '/proc/none/tun')).to.throw(
      /^\/proc\/none\/tun is missing and cannot be made: mknod.*CAP_MKNOD.*--device \/dev\/net\/tun/,
    );
    expect(() => open({}, '/proc')).to.throw('opening /proc: open: illegal operation on a directory (EISDIR)');
    expect(() => open({}, '/dev/null')).to.throw('ioctl(TUNSETIFF): inappropriate ioctl for device (ENOTTY)');
  });
});
