/**
 * Which process holds what a start needs: a UDP port, a tun device. Read from /proc when the kernel has refused it, for
 * the one line that the operator gets; nothing is signalled here.
 *
 *   /proc/net/udp{,6}      address and port → inode ─┐
 *   /proc/PID/fd/N         socket:[inode]  ──────────┴─▶ PID
 *   /proc/PID/fdinfo/N     iff: DEVICE     ────────────▶ PID
 *
 * Sees what this process may see: in a container, or without CAP_SYS_PTRACE, maybe nobody; then the list is empty. The
 * same device name may stand in another network namespace: such a process counts only when it holds a socket of ours.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { IpAddress } from '../../shared/ip/address.ts';
import { SysError } from '../../shared/sys/sysError.ts';

export interface Holder {
  readonly pid: number;
  /** Its command line, shortened. */
  readonly command: string;
  /** Stopped by a signal: it ends only by SIGKILL. */
  readonly isStopped: boolean;
  /** A worker of weft whose primary is gone: a primary holds whatever its workers hold. */
  readonly isOrphan: boolean;
}

const COMMAND_LENGTH_MAX = 120;
const WORKER_ENTRY = /(^|\/)worker\/main\.js$/;

/**
 * Runs `open`; when it fails with `errno`, which means that somebody has it already, the error names who and what to do.
 * `key`: where another one can be chosen.
 */
export function orWhoHasIt<T>(errno: number, key: string, find: () => readonly Holder[], open: () => T): T {
  try {
    return open();
  } catch (error) {
    const found = error instanceof SysError && error.errno === errno ? find() : [];
    throw error instanceof SysError && found.length > 0 ? error.withRemedy(holderRemedy(found, key)) : error;
  }
}

/** Who holds a UDP socket that keeps `host`:`port` from being bound. */
export function udpHolders(host: IpAddress, port: number, proc: string = '/proc'): readonly Holder[] {
  const inodes = new Set(
    udpSockets(proc).flatMap((socket) => (socket.port === port && collides(socket.address, host) ? socket.inode : [])),
  );
  return holders(proc, (pid) => socketsOf(proc, pid).some((inode) => inodes.has(inode)));
}

/** Who holds a queue of the tun device `name` in this network namespace. */
export function tunHolders(name: string, proc: string = '/proc'): readonly Holder[] {
  const own = link(`${proc}/self/ns/net`);
  const inodes = new Set(udpSockets(proc).map(({ inode }) => inode));
  const isHere = (pid: number): boolean =>
    link(`${proc}/${pid}/ns/net`) === own || socketsOf(proc, pid).some((inode) => inodes.has(inode));
  return holders(proc, (pid) => tunDevices(proc, pid).includes(name) && isHere(pid));
}

function holderRemedy(found: readonly Holder[], key: string): string {
  const named = found.map(({ pid, command, isStopped, isOrphan }) => {
    const kind = isOrphan ? ', a worker whose node is gone' : '';
    return `process ${pid} (${command}${kind}${isStopped ? ', stopped' : ''})`;
  });
  const isStuck = found.some(({ isStopped, isOrphan }) => isStopped || isOrphan);
  const remedy = isStuck ? `kill -9 ${found.map(({ pid }) => pid).join(' ')}` : 'stop it';
  return `held by ${named.join(', ')}: ${remedy}, or choose another ${key}`;
}

/** Those that nobody else holds it for: children go with their parent. */
function holders(proc: string, isHolder: (pid: number) => boolean): Holder[] {
  const pids = entries(proc)
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && isHolder(pid));
  return pids.flatMap((pid) => {
    // "pid (name) state parent ...": the name may hold anything, so what follows its last parenthesis counts.
    const stat = text(`${proc}/${pid}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (pids.includes(Number(parent))) {
      return [];
    }
    const words = text(`${proc}/${pid}/cmdline`).split('\0');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const isStopped = state === 'T' || state === 't';
    const isOrphan = words.some((word) => WORKER_ENTRY.test(word));
    return [{ pid, command: printable(words.join(' ').trim() || name), isStopped, isOrphan }];
  });
}

interface UdpSocket {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** The UDP sockets of this network namespace. */
function udpSockets(proc: string): UdpSocket[] {
  return ['udp', 'udp6'].flatMap((table) =>
    text(`${proc}/self/net/${table}`)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields.length > 9)
      .map((fields) => {
        const [address, port] = fields[1].split(':');
        return { address, port: Number.parseInt(port, 16), inode: fields[9] };
      }),
  );
}

/** One of them is every address of the machine, or they are the same; the table has words in the machine's order. */
function collides(address: string, host: IpAddress): boolean {
  const isAny = (hex: string): boolean => /^0+$/.test(hex);
  const own = tableAddress(host.bytes);
  return isAny(address) || isAny(own) || address === own;
}

function tableAddress(bytes: Uint8Array): string {
  const words = Array.from({ length: bytes.length / 4 }, (_, word) => [...bytes.subarray(word * 4, word * 4 + 4)]);
  return words
    .flatMap((word) => (LITTLE_ENDIAN ? word.reverse() : word))
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
}

const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function socketsOf(proc: string, pid: number): string[] {
  return entries(`${proc}/${pid}/fd`).flatMap((fd) => {
    const match = /^socket:\[(\d+)\]$/.exec(link(`${proc}/${pid}/fd/${fd}`));
    return match === null ? [] : [match[1]];
  });
}

function tunDevices(proc: string, pid: number): string[] {
  return entries(`${proc}/${pid}/fdinfo`).flatMap((fd) => {
    const match = /^iff:\s+(\S+)$/m.exec(text(`${proc}/${pid}/fdinfo/${fd}`));
    return match === null ? [] : [match[1]];
  });
}

/** What somebody named a process must not break the line, nor fill it. */
function printable(value: string): string {
  const plain = value.replace(/[^\x20-\x7e]/g, '?');
  return plain.length > COMMAND_LENGTH_MAX ? `${plain.slice(0, COMMAND_LENGTH_MAX)}...` : plain;
}

function entries(path: string): string[] {
  return quietly(() => readdirSync(path), []);
}

function text(path: string): string {
  return quietly(() => readFileSync(path, 'latin1'), '');
}

function link(path: string): string {
  return quietly(() => readlinkSync(path), '');
}

/** Processes come and go, and some may not be looked at. */
function quietly<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
