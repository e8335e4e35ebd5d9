/**
 * A taken-over worker: confined as workers are, then it does what its first argument names. Its second argument is the
 * process id of the primary, its descriptor 4 a UDP socket. What the kernel answered goes to the parent, if the kernel
 * lets it live.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { lastErrno, libc } from '../../src/shared/sys/libc.ts';
import { confine, confinementFromEnvironment } from '../../src/shared/sys/privileges.ts';
import { scratch } from '../../src/shared/sys/scratch.ts';
import { errnoName } from '../../src/shared/sys/sysError.ts';
import { type FilteredArchitecture, type SystemCall, systemCallNumber } from '../../src/shared/sys/systemCalls.ts';

const [attempt, primaryText] = process.argv.slice(2);
const primary = Number(primaryText);
const SOCKET_FD = 4;

/** Throws what the kernel said. */
function call(name: SystemCall, one: number = 0, two: number = 0, three: number = 0): void {
  const number = systemCallNumber(name, process.arch as FilteredArchitecture) ?? -1;
  if (libc.syscall(number, one, two, three) === -1) {
    throw Object.assign(new Error(name), { code: errnoName(lastErrno()) });
  }
}

const ATTEMPTS: Readonly<Record<string, () => unknown>> = {
  'do nothing': () => 'done',
  'say whether it may be dumped': () => libc.prctl(3, 0, 0, 0, 0),
  'read a file': () => readFileSync('/etc/passwd'),
  'write a file': () => writeFileSync('/tmp/weft-sandbox-test', 'x'),
  'open a device': () => openSync('/dev/net/tun', 'r+'),
  'list a directory': () => readdirSync('/'),
  'look at a path': () => statSync('/etc/shadow'),
  'change a mode': () => chmodSync('/tmp', 0o777),
  'remove a file': () => unlinkSync('/tmp/weft-sandbox-test'),
  'rename a file': () => renameSync('/tmp/weft-sandbox-test', '/tmp/weft-sandbox-other'),
  "read the primary's memory": () => openSync(`/proc/${primary}/mem`, 'r'),
  'allow core dumps again': () => call('prctl', 4, 1),
  'outlive the primary': () => call('prctl', 1, 0),
  'raise its limits': () => call('prlimit64', 0, 4, scratch.address),
  'type into the terminal': () => call('ioctl', 1, 0x5412, scratch.address),
  'set a socket option': () => call('setsockopt', SOCKET_FD, 1, 26),
  'run a program': () => spawnSync('/bin/true'),
  'run a program in its own place': () => call('execve', scratch.address, scratch.address, scratch.address),
  'listen on a port': () => createServer().listen(8080),
  'connect to somewhere': () => connect(80, '127.0.0.1'),
  'make a raw socket': () => call('socket', 17, 3, 0),
  'bind its UDP socket again': () => call('bind', SOCKET_FD, scratch.address, 16),
  'connect its UDP socket': () => call('connect', SOCKET_FD, scratch.address, 16),
  'kill the primary': () => process.kill(primary, 'SIGKILL'),
  'kill everything': () => process.kill(-1, 'SIGKILL'),
  'trace the primary': () => call('ptrace', 16, primary),
  "copy the primary's memory": () => call('process_vm_readv', primary),
  'take a descriptor of the primary': () => call('pidfd_open', primary),
  'become root': () => call('setuid', 0),
  'take capabilities': () => call('capset', scratch.address, scratch.address),
  'mount a file system': () => call('mount'),
  'change the root directory': () => call('chroot', scratch.address),
  'enter a user namespace': () => call('unshare', 0x10000000),
  'join a network namespace': () => call('setns', SOCKET_FD, 0x40000000),
  'make an io_uring': () => call('io_uring_setup', 8, scratch.address),
  'load a BPF program': () => call('bpf', 5, scratch.address, 48),
  'load a kernel module': () => call('init_module', scratch.address),
  'read the key ring': () => call('keyctl', 0, -3),
  'use the x32 table of calls': () => {
    libc.syscall(0x40000000 + 39, 0, 0, 0);
  },
};

confine(confinementFromEnvironment(), 'worker');
process.send?.(outcome(ATTEMPTS[attempt]), () => process.exit(0));

function outcome(work: () => unknown): string {
  try {
    return String(work());
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
