import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { type Holder, orWhoHasIt, tunHolders, udpHolders } from '../../../src/primary/machine/holders.ts';
import { SysError } from '../../../src/shared/sys/sysError.ts';
import { ip } from '../../support/addresses.ts';
import { ownDirectory } from '../../support/ownDirectory.ts';

const EADDRINUSE = 98;
const NODE = ['/usr/bin/node', '/usr/bin/weft', 'run', '-config', '/etc/weft.yml'];
const WORKER = ['/usr/bin/node', '/usr/lib/weft/dist/worker/main.js'];

interface FakeProcess {
  readonly words?: readonly string[];
  readonly name?: string;
  readonly state?: string;
  readonly parent?: number;
  readonly sockets?: readonly number[];
  readonly tuns?: readonly string[];
  readonly namespace?: string;
}

/** A tree as /proc has it: this process lives in network namespace `net:[1]`. */
class FakeProc {
  readonly path: string;
  readonly close: () => void;

  constructor(udp: readonly string[], udp6: readonly string[] = []) {
    [this.path, this.close] = ownDirectory('weft-proc-');
    mkdirSync(join(this.path, 'self/net'), { recursive: true });
    mkdirSync(join(this.path, 'self/ns'));
    symlinkSync('net:[1]', join(this.path, 'self/ns/net'));
    const head =
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops';
    const table = (rows: readonly string[]): string => [head, ...rows, ''].join('\n');
    writeFileSync(join(this.path, 'self/net/udp'), table(udp));
    writeFileSync(join(this.path, 'self/net/udp6'), table(udp6));
  }

  add(pid: number, options: FakeProcess): void {
    const { words = [], name = 'node', state = 'S', parent = 1, sockets = [], tuns = [], namespace = '1' } = options;
    const path = join(this.path, String(pid));
    for (const folder of ['fd', 'fdinfo', 'ns']) {
      mkdirSync(join(path, folder), { recursive: true });
    }
    writeFileSync(join(path, 'cmdline'), words.map((word) => `${word}\0`).join(''));
    writeFileSync(join(path, 'stat'), `${pid} (${name}) ${state} ${parent} 1 1 0 -1 0 0\n`);
    symlinkSync(`net:[${namespace}]`, join(path, 'ns/net'));
    symlinkSync('/dev/null', join(path, 'fd/0'));
    sockets.forEach((inode, index) => {
      symlinkSync(`socket:[${inode}]`, join(path, `fd/${index + 3}`));
    });
    tuns.forEach((device, index) => {
      writeFileSync(join(path, `fdinfo/${index + 20}`), `pos:\t0\nflags:\t0104002\nmnt_id:\t15\niff:\t${device}\n`);
    });
  }
}

/** One row of /proc/net/udp. */
function row(address: string, inode: number): string {
  return `  120: ${address} 00000000:0000 07 00000000:00000000 00:00000000 00000000   0        0 ${inode} 2 0000 0`;
}

/** The message of the failed start. */
function complaint(found: readonly Holder[]): string {
  try {
    orWhoHasIt(
      EADDRINUSE,
      'listen.port',
      () => found,
      () => {
        throw new SysError('bind', EADDRINUSE, 'opening UDP socket 0.0.0.0:4242', 'somebody has it');
      },
    );
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('who holds a port or a device', () => {
  let proc: FakeProc;

  afterEach(() => {
    proc.close();
  });

  describe('of UDP', () => {
    const ANY = '00000000:1092';
    beforeEach(() => {
      proc = new FakeProc(
        [row(ANY, 501), row('00000000:1093', 502), row('0100007F:1094', 503)],
        [row('B80D0120000000000000000001000000:1095', 504)],
      );
    });

    it('is the process that has the socket, not one on another port', () => {
      proc.add(40, { words: ['/usr/bin/nc', '-u', '-l', '4242'], sockets: [7, 501] });
      proc.add(41, { words: ['/usr/bin/other'], sockets: [502] });
      const found = udpHolders(ip('0.0.0.0'), 4242, proc.path);
      expect(found).to.deep.equal([{ pid: 40, command: '/usr/bin/nc -u -l 4242', isStopped: false, isOrphan: false }]);
      expect(complaint(found)).to.match(
        /held by process 40 \(\/usr\/bin\/nc -u -l 4242\): stop it, or choose another listen.port$/,
      );
    });

    it('is a node as a whole: its workers are not told of', () => {
      proc.add(50, { words: NODE, sockets: [501] });
      proc.add(51, { words: WORKER, sockets: [501], parent: 50 });
      expect(udpHolders(ip('0.0.0.0'), 4242, proc.path).map(({ pid }) => pid)).to.deep.equal([50]);
    });

    it('is a worker that outlived its node, stopped or not, and how to end it', () => {
      proc.add(1, { words: ['/sbin/init'] });
      proc.add(61, { words: WORKER, sockets: [501], parent: 1, state: 'T' });
      const found = udpHolders(ip('0.0.0.0'), 4242, proc.path);
      expect(found).to.deep.equal([{ pid: 61, command: WORKER.join(' '), isStopped: true, isOrphan: true }]);
      expect(complaint(found)).to.match(
        /process 61 \(.*worker\/main\.js, a worker whose node is gone, stopped\): kill -9 61,/,
      );
    });

    it('is told by address: another one of the machine keeps nothing from being bound', () => {
      proc.add(70, { words: ['a'], sockets: [503] });
      proc.add(71, { words: ['b'], sockets: [504] });
      const at = (address: string, port: number): number[] =>
        udpHolders(ip(address), port, proc.path).map(({ pid }) => pid);
      expect(at('127.0.0.1', 0x1094)).to.deep.equal([70]);
      expect(at('127.0.0.2', 0x1094)).to.deep.equal([]);
      expect(at('0.0.0.0', 0x1094)).to.deep.equal([70]);
      expect(at('::', 0x1094)).to.deep.equal([70]);
      expect(at('2001:db8::1', 0x1095)).to.deep.equal([71]);
      expect(at('2001:db8::2', 0x1095)).to.deep.equal([]);
    });

    it('is nobody when /proc does not say so, and the error stays as it was', () => {
      proc.add(80, { sockets: [999] });
      const found = udpHolders(ip('0.0.0.0'), 4242, proc.path);
      expect(found).to.deep.equal([]);
      expect(udpHolders(ip('0.0.0.0'), 4242, join(proc.path, 'nowhere'))).to.deep.equal([]);
      expect(complaint(found)).to.match(/; somebody has it$/);
    });

    it('is told in one line, whatever the process calls itself', () => {
      proc.add(90, { words: [`evil\n\x1b[31m${'x'.repeat(5000)}`], sockets: [501] });
      proc.add(91, { name: 'a) S 1 (b', sockets: [501], parent: 1 });
      const [evil, unnamed] = udpHolders(ip('0.0.0.0'), 4242, proc.path);
      expect(evil.command).to.match(/^evil\?\?\[31mx+\.\.\.$/);
      expect(evil.command.length).to.be.below(200);
      expect(unnamed.command).to.equal('a) S 1 (b');
    });
  });

  describe('of tun', () => {
    beforeEach(() => {
      proc = new FakeProc([row('00000000:1092', 501)]);
    });

    it('is the process with a queue of that name in this network namespace', () => {
      proc.add(40, { words: NODE, tuns: ['nebula1', 'nebula1'] });
      proc.add(41, { words: NODE, tuns: ['nebula2'] });
      proc.add(42, { words: NODE, tuns: ['nebula1'], namespace: '2' });
      expect(tunHolders('nebula1', proc.path).map(({ pid }) => pid)).to.deep.equal([40]);
    });

    it('is also a worker that left the namespace, by the socket that it kept', () => {
      proc.add(61, { words: WORKER, tuns: ['nebula1'], namespace: '3', sockets: [501] });
      proc.add(62, { words: WORKER, tuns: ['nebula1'], namespace: '4', sockets: [777] });
      expect(tunHolders('nebula1', proc.path)).to.deep.equal([
        { pid: 61, command: WORKER.join(' '), isStopped: false, isOrphan: true },
      ]);
    });
  });
});

describe('who holds a port, in the real /proc', () => {
  it('names a program that has bound it', async () => {
    const code = `const s = require('node:dgram').createSocket('udp4');
      s.bind(0, '127.0.0.1', () => console.log(s.address().port)); process.stdin.on('end', () => process.exit()).resume();`;
    const child = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const [chunk] = await once(child.stdout, 'data');
      const found = udpHolders(ip('127.0.0.1'), Number(chunk));
      expect(found.map(({ pid }) => pid)).to.deep.equal([child.pid]);
      expect(found[0].command).to.include(process.execPath);
    } finally {
      child.stdin.end();
      await once(child, 'exit');
    }
  });

  it('does not name itself', async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    expect(udpHolders(ip('127.0.0.1'), socket.address().port)).to.deep.equal([]);
    socket.close();
  });
});
