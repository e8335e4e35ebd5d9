/**
 * The node's UDP sockets: one per worker, all on one port, nobody else among them.
 *
 * The primary opens them at start and keeps copies; each worker reads its own. SO_REUSEPORT would let any process of
 * the same user join the port, and take a share of its datagrams, without an error on either side. So the first socket
 * is bound alone, without the option, which fails when anybody is there; only then the option is set on it and the
 * others join. Another node that does the same is refused at its first bind, at any moment. (Linux
 * `net/core/sock_reuseport.c`: a socket that got the option after its bind founds the group when the second one joins.)
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  O_CLOEXEC,
  O_NONBLOCK,
  SO_ATTACH_REUSEPORT_CBPF,
  SO_MARK,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from '../../shared/sys/abi.ts';
import { BPF_INSTRUCTION_BYTES } from '../../shared/sys/bpf.ts';
import { check, Errno, lastErrno, libc, NEEDS_NET_ADMIN, SysError } from '../../shared/sys/libc.ts';
import { clearScratch, scratch } from '../../shared/sys/scratch.ts';
import { steeringProgram } from './steering.ts';

export interface UdpRequest {
  /** An IPv4 address opens IPv4 sockets; an IPv6 one opens sockets that also speak IPv4 (mapped) where it is `::`. */
  readonly host: IpAddress;
  /** 0: the kernel chooses, for all sockets the same. */
  readonly port: number;
  readonly count: number;
  /** Bytes asked for; 0 leaves the system's default. */
  readonly readBuffer: number;
  readonly writeBuffer: number;
  /** SO_MARK for policy routing; 0 sets none. */
  readonly soMark: number;
}

export interface UdpSockets {
  /** In the order that steering counts them. Non-blocking, close-on-exec. */
  readonly fds: readonly number[];
  readonly port: number;
  readonly family: 4 | 6;
  /** What the kernel gave, in its own count: twice the bytes asked for, or the system's limit. */
  readonly readBuffer: number;
  readonly writeBuffer: number;
}

/** Fill levels of a socket in bytes, and datagrams the kernel dropped because the read buffer was full (u32, wraps). */
export interface SocketMemory {
  readonly rmemAlloc: number;
  readonly rcvbuf: number;
  readonly wmemAlloc: number;
  readonly sndbuf: number;
  readonly fwdAlloc: number;
  readonly wmemQueued: number;
  readonly optmem: number;
  readonly backlog: number;
  readonly drops: number;
}

/** Opens all sockets or none. Throws SysError with a remedy. */
export function openUdpSockets(request: UdpRequest): UdpSockets {
  const fds: number[] = [];
  try {
    fds.push(openSocket(request));
    bind(fds[0], request.host, request.port);
    const port = boundPort(fds[0]);
    if (request.count > 1) {
      setOption(fds[0], SOL_SOCKET, SO_REUSEPORT, 1, 'SO_REUSEPORT');
    }
    while (fds.length < request.count) {
      const fd = openSocket(request);
      fds.push(fd);
      setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, 'SO_REUSEPORT');
      bind(fd, request.host, port);
    }
    return {
      fds,
      port,
      family: request.host.family,
      readBuffer: option(fds[0], SOL_SOCKET, SO_RCVBUF, 'SO_RCVBUF'),
      writeBuffer: option(fds[0], SOL_SOCKET, SO_SNDBUF, 'SO_SNDBUF'),
    };
  } catch (error) {
    for (const fd of fds) {
      libc.close(fd);
    }
    throw error;
  }
}

/** Attaches the steering program to the group that `openUdpSockets` made. With one socket there is nothing to steer. */
export function attachSteering(fds: readonly number[]): void {
  if (fds.length < 2) {
    return;
  }
  const program = steeringProgram(fds.length);
  const programOffset = 16;
  clearScratch(programOffset);
  scratch.bytes.set(program, programOffset);
  // struct sock_fprog: length in instructions 2, padding 6, pointer 8.
  scratch.view.setUint16(0, program.length / BPF_INSTRUCTION_BYTES, true);
  scratch.writePointer(8, programOffset);
  check(
    libc.setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, scratch.address, programOffset),
    'setsockopt(SO_ATTACH_REUSEPORT_CBPF)',
    'steering datagrams to workers',
  );
}

/** Null when the kernel is too old to say (before 4.12). */
export function socketMemory(fd: number): SocketMemory | null {
  const words = 9;
  clearScratch(words * 4);
  scratch.view.setUint32(LENGTH_OFFSET, words * 4, true);
  if (libc.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, scratch.address, scratch.address + LENGTH_OFFSET) !== 0) {
    return null;
  }
  const word = (index: number): number => scratch.view.getUint32(index * 4, true);
  return {
    rmemAlloc: word(0),
    rcvbuf: word(1),
    wmemAlloc: word(2),
    sndbuf: word(3),
    fwdAlloc: word(4),
    wmemQueued: word(5),
    optmem: word(6),
    backlog: word(7),
    drops: word(8),
  };
}

function openSocket(request: UdpRequest): number {
  const domain = request.host.family === 4 ? AF_INET : AF_INET6;
  const fd = libc.socket(domain, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd === -1) {
    const errno = lastErrno();
    const remedy = errno === Errno.EAFNOSUPPORT ? 'this machine has no IPv6; set listen.host to 0.0.0.0' : '';
    throw new SysError('socket', errno, 'opening a UDP socket', remedy);
  }
  try {
    if (domain === AF_INET6) {
      setOption(fd, SOL_IPV6, IPV6_V6ONLY, 0, 'IPV6_V6ONLY');
    }
    if (isUnspecified(request.host)) {
      // Datagrams come with the address that they came to: the answer shall come from there.
      const level = domain === AF_INET ? SOL_IP : SOL_IPV6;
      setOption(fd, level, domain === AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO, 1, 'PKTINFO');
    }
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, request.readBuffer, 'SO_RCVBUF');
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, request.writeBuffer, 'SO_SNDBUF');
    if (request.soMark !== 0) {
      setOption(fd, SOL_SOCKET, SO_MARK, request.soMark, 'SO_MARK');
    }
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function isUnspecified(host: IpAddress): boolean {
  return host.bytes.every((byte) => byte === 0);
}

/** Past the system's limit when privileged, else up to it. */
function setBuffer(fd: number, forcedName: number, name: number, bytes: number, label: string): void {
  if (bytes > 0 && !tryOption(fd, SOL_SOCKET, forcedName, bytes)) {
    setOption(fd, SOL_SOCKET, name, bytes, label);
  }
}

function bind(fd: number, host: IpAddress, port: number): void {
  const length = writeSocketName(host, port);
  if (libc.bind(fd, scratch.address, length) === 0) {
    return;
  }
  const errno = lastErrno();
  const where = host.family === 4 ? `${host.text}:${port}` : `[${host.text}]:${port}`;
  throw new SysError('bind', errno, `opening UDP socket ${where}`, bindRemedy(errno));
}

function bindRemedy(errno: number): string {
  switch (errno) {
    case Errno.EADDRINUSE:
      return 'another process has this port: stop it, or choose another listen.port';
    case Errno.EADDRNOTAVAIL:
      return 'listen.host is not an address of this machine';
    case Errno.EACCES:
      return 'ports below 1024 need root or CAP_NET_BIND_SERVICE';
    default:
      return '';
  }
}

/** Writes sockaddr_in or sockaddr_in6 at offset 0 of the scratch and returns its length. */
export function writeSocketName(host: IpAddress, port: number): number {
  clearScratch(28);
  scratch.view.setUint16(0, host.family === 4 ? AF_INET : AF_INET6, true);
  scratch.view.setUint16(2, port);
  scratch.bytes.set(host.bytes, host.family === 4 ? 4 : 8);
  return host.family === 4 ? 16 : 28;
}

/** The port that a socket has got. Throws SysError. */
export function boundPort(fd: number): number {
  scratch.view.setUint32(LENGTH_OFFSET, 28, true);
  check(libc.getsockname(fd, scratch.address, scratch.address + LENGTH_OFFSET), 'getsockname');
  return scratch.view.getUint16(2);
}

function tryOption(fd: number, level: number, name: number, value: number): boolean {
  scratch.view.setInt32(0, value, true);
  return libc.setsockopt(fd, level, name, scratch.address, 4) === 0;
}

function setOption(fd: number, level: number, name: number, value: number, label: string): void {
  if (!tryOption(fd, level, name, value)) {
    const errno = lastErrno();
    const remedy = errno === Errno.EPERM ? NEEDS_NET_ADMIN : '';
    throw new SysError(`setsockopt(${label})`, errno, 'preparing a UDP socket', remedy);
  }
}

function option(fd: number, level: number, name: number, label: string): number {
  scratch.view.setUint32(LENGTH_OFFSET, 4, true);
  const result = libc.getsockopt(fd, level, name, scratch.address, scratch.address + LENGTH_OFFSET);
  check(result, `getsockopt(${label})`);
  return scratch.view.getInt32(0, true);
}

/** Where in the scratch a socklen_t is passed. */
const LENGTH_OFFSET = 64;
