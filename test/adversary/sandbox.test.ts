/**
 * A worker that somebody has taken over: what it is left with (every thread of a real one is looked at), and what it tries
 * (a process confined in the same way does it). It ends with the primary, and leaves no dump.
 */
import { chmodSync, chownSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { isRunning, markProcess } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { openUdpSockets } from '../../src/primary/machine/udpSocket.ts';
import { parseAddress } from '../../src/shared/ip/address.ts';
import { libc } from '../../src/shared/sys/libc.ts';
import { forkConfined } from '../support/confinedChild.ts';
import { requireLab } from '../support/environment.ts';
import { type NodeOptions, type TestNode, WEFT_MAIN } from '../support/nodes.ts';
import { Pair, type PairOptions, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { misbehaviour } from './misbehaviour.ts';
import { threadsOf } from './threads.ts';

const ROUTINES = 2;
const NO_CAPABILITIES = Array.from({ length: 4 }, () => '0000000000000000');
const HOSTILE = fileURLToPath(new URL('sandboxChild.js', import.meta.url));
/** Of a primary that is not root. */
const OWN_UID = 64_123;
const NEEDED = ['setuid', 'setgid', 'kill'];

/** What `sandboxChild.ts` tries. A refusal is an answer that Node can live with; what no honest code does is death. */
const REFUSED = [
  'read a file',
  'write a file',
  'open a device',
  'list a directory',
  'look at a path',
  'change a mode',
  'remove a file',
  'rename a file',
  "read the primary's memory",
  'allow core dumps again',
  'outlive the primary',
  'raise its limits',
  'type into the terminal',
  'set a socket option',
];
const KILLED = [
  'run a program',
  'run a program in its own place',
  'listen on a port',
  'connect to somewhere',
  'make a raw socket',
  'bind its UDP socket again',
  'connect its UDP socket',
  'kill the primary',
  'kill everything',
  'trace the primary',
  "copy the primary's memory",
  'take a descriptor of the primary',
  'become root',
  'take capabilities',
  'mount a file system',
  'change the root directory',
  'enter a user namespace',
  'join a network namespace',
  'make an io_uring',
  'load a BPF program',
  'load a kernel module',
  'read the key ring',
  'use the x32 table of calls',
];

describe('a taken-over worker', function () {
  this.timeout(120_000);
  let pair: Pair | null = null;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping', 'setpriv');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  function newPair(options: PairOptions): Pair {
    pair = new Pair(options);
    return pair;
  }

  async function startPair(left: Partial<NodeOptions> = {}): Promise<Pair> {
    const started = newPair({ left: { routines: ROUTINES, ...left }, right: { routines: ROUTINES } });
    await started.start();
    await untilReachable(started.lab, started.left.namespace, RIGHT);
    return started;
  }

  it('has no user, group, capability, privilege to gain, network or inter-process object', async () => {
    const { left, right, lab } = await startPair();
    const users = [left, right].map((node) => expectConfined(node, ROUTINES, 0));
    expect(users[0], 'each node has an id of its own').to.not.equal(users[1]);
    for (const pid of left.workerPids()) {
      for (const kind of ['net', 'ipc']) {
        expect(namespaceOf(pid, kind), kind).to.not.equal(namespaceOf(left.program.pid, kind));
      }
      const devices = readFileSync(`/proc/${pid}/net/dev`, 'latin1').split('\n').slice(2);
      expect(devices.map((line) => line.split(':')[0].trim()).filter((name) => name !== '')).to.deep.equal(['lo']);
      expect(readFileSync(`/proc/${pid}/limits`, 'latin1')).to.match(/Max core file size +0 +0 /);
    }
    // The primary came back from where it forked them, and the data path works without files and sockets.
    expect(deviceNames(left.program.pid)).to.include('cable0');
    expect((await ping(lab, left.namespace, RIGHT, { count: 50, intervalMs: 10 })).received).to.equal(50);
  });

  it('has nothing either when weft runs as a user with capabilities', async () => {
    const node = startUnprivileged(NEEDED);
    await node.program.waitForLine(/weft is up/);
    expectConfined(node, ROUTINES, OWN_UID);
    expect(node.lines.filter((line) => line.includes('network namespace of the node'))).to.have.length(1);
    const workers = node.workerPids().flatMap((pid) => markProcess(pid) ?? []);
    process.kill(workers[0].pid, 'SIGSTOP');
    node.program.signal('SIGKILL');
    await until('the workers of another user to end', () => !workers.some(isRunning));
  });

  for (const missing of NEEDED) {
    it(`is not started when it could not get a user of its own (CAP_${missing.toUpperCase()})`, async () => {
      const node = startUnprivileged(NEEDED.filter((name) => name !== missing));
      expect((await node.program.exited).code).to.equal(1);
      const told = node.lines.filter((line) => line.includes('weft did not start'));
      expect(told).to.have.length(1);
      expect(told[0]).to.match(
        new RegExp(`CAP_${missing.toUpperCase()} is missing.*AmbientCapabilities=CAP_NET_ADMIN`),
      );
    });
  }

  it('is confined as well under the capabilities that the systemd unit leaves', async () => {
    const unit = readFileSync(new URL('../../../deploy/systemd/weft.service', import.meta.url), 'utf8');
    const bounding = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1].toLowerCase().split(' ') ?? [];
    const set = ['-all', ...bounding.map((name) => name.replace('cap_', '+'))].join(',');
    const command = ['setpriv', '--no-new-privs', '--bounding-set', set, process.execPath, WEFT_MAIN, 'run'];
    const { left } = await startPair({ command });
    expectConfined(left, ROUTINES, 0);
    expect(left.lines.filter((line) => /Workers (run without|stay in)/.test(line))).to.deep.equal([]);
  });

  it('ends with a killed primary, also while it is stopped', async () => {
    const { left } = await startPair();
    const workers = left.workerPids().flatMap((pid) => markProcess(pid) ?? []);
    expect(workers).to.have.length(ROUTINES);
    process.kill(workers[0].pid, 'SIGSTOP');
    left.program.signal('SIGKILL');
    await until('the workers to end', () => !workers.some(isRunning));
  });

  it('is killed and replaced when it connects to somewhere, and its flows return', async () => {
    const { left, lab } = await startPair({ env: misbehaviour('connect') });
    const [victim, other] = left.workerPids();
    process.kill(victim, 'SIGUSR2');
    await left.program.waitForLine(/Worker died.*signal SIGSYS, for a system call that its filter forbids/);
    await until('a new worker', () => {
      const pids = left.workerPids();
      return pids.length === ROUTINES && !pids.includes(victim) && pids.every(isConfined);
    });
    expect(left.workerPids()).to.include(other);
    await untilReachable(lab, left.namespace, RIGHT);
    expectConfined(left, ROUTINES, 0);
  });

  it('still logs, and opens no inspector', async () => {
    const { left, lab } = await startPair({
      config: { logging: { level: 'debug' }, firewall: { conntrack: { routine_cache_timeout: '100ms' } } },
    });
    const workers = left.workerPids();
    for (const pid of workers) {
      process.kill(pid, 'SIGUSR1');
    }
    const mark = left.lines.length;
    await ping(lab, left.namespace, RIGHT);
    await left.program.waitForLine(/resetting conntrack cache.*worker=/, 20_000, mark);
    expect(left.workerPids()).to.deep.equal(workers);
  });

  function startUnprivileged(capabilities: readonly string[]): TestNode {
    const list = ['net_admin', ...capabilities].map((name) => `+${name}`).join(',');
    const ids = ['--reuid', String(OWN_UID), '--regid', String(OWN_UID), '--clear-groups'];
    const { left, lab } = newPair({
      left: {
        routines: ROUTINES,
        command: [
          ...['setpriv', ...ids, '--inh-caps', list, '--ambient-caps', list],
          ...[process.execPath, WEFT_MAIN, 'run'],
        ],
        config: { tun: { disabled: true } },
      },
    });
    const { directory } = lab;
    for (const path of [directory, ...readdirSync(directory).map((name) => join(directory, name))]) {
      chownSync(path, OWN_UID, OWN_UID);
    }
    chmodSync(directory, 0o755);
    left.launch();
    return left;
  }

  describe('is refused to', () => {
    for (const attempt of REFUSED) {
      it(attempt, async () => {
        expect(await attemptOf(attempt)).to.equal('EPERM');
      });
    }
  });

  describe('is killed when it tries to', () => {
    for (const attempt of KILLED.filter((each) => process.arch === 'x64' || !each.includes('x32'))) {
      it(attempt, async () => {
        expect(await attemptOf(attempt)).to.equal('SIGSYS');
      });
    }
  });

  it('may do nothing in peace', async () => {
    expect(await attemptOf('do nothing')).to.equal('done');
  });

  it('leaves no dump where the system dumps what changed its user', async () => {
    const setting = '/proc/sys/fs/suid_dumpable';
    const before = readFileSync(setting, 'latin1');
    writeFileSync(setting, '2');
    try {
      expect(await attemptOf('say whether it may be dumped')).to.equal('0');
    } finally {
      writeFileSync(setting, before);
    }
  });
});

/** Those that every child of this process inherits, where tests before this one have begun nodes in it. */
function ownFilters(): number {
  return Number(/^Seccomp_filters:\s*(\d+)/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))?.[1] ?? 0);
}

function isConfined(pid: number): boolean {
  return threadsOf(pid).every(({ filters }) => filters === ownFilters() + 2);
}

/** Every thread of every worker; returns the user. */
function expectConfined(node: TestNode, count: number, primaryUid: number): number {
  const workers = node.workerPids();
  expect(workers).to.have.length(count);
  const uids = workers.flatMap((pid) => {
    const threads = threadsOf(pid);
    expect(threads.length, 'threads').to.be.greaterThan(5);
    for (const thread of threads) {
      expect(thread.capabilities).to.deep.equal(NO_CAPABILITIES);
      expect(thread.groups).to.equal('');
      expect(thread.noNewPrivileges).to.equal(1);
      expect(thread.filters).to.equal(ownFilters() + 2);
      expect(thread.gids).to.deep.equal(thread.uids);
    }
    return threads.flatMap((thread) => thread.uids);
  });
  const [uid] = uids;
  expect(new Set(uids).size, 'one user').to.equal(1);
  expect(uid).to.not.be.oneOf([0, primaryUid, 65534]);
  return uid;
}

function namespaceOf(pid: number, kind: string): string {
  return readlinkSync(`/proc/${pid}/ns/${kind}`);
}

function deviceNames(pid: number): string[] {
  return readFileSync(`/proc/${pid}/net/dev`, 'latin1')
    .split('\n')
    .map((line) => line.split(':')[0].trim());
}

/** What became of one attempt: what the kernel said, `done`, or the signal that ended it. */
async function attemptOf(attempt: string): Promise<string> {
  const host = parseAddress('127.0.0.1');
  if (host === null) {
    throw new Error('no address');
  }
  const udp = openUdpSockets({ host, port: 0, count: 1, readBuffer: 0, writeBuffer: 0, soMark: 0 });
  try {
    const { child } = forkConfined(HOSTILE, [attempt, String(process.pid)], udp.fds);
    let said = '';
    child.on('message', (text) => {
      said = String(text);
    });
    return await new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? (said || `exit code ${code}`)));
    });
  } finally {
    for (const fd of udp.fds) {
      libc.close(fd);
    }
  }
}
