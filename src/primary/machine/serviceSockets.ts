/**
 * The sockets of a small service, bound by a process that may and used by one that may not: UDP, and TCP on the same port
 * where that is free.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import {
  AF_INET,
  AF_INET6,
  IPV6_V6ONLY,
  O_CLOEXEC,
  O_NONBLOCK,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
} from '../../shared/sys/abi.ts';
import { check, Errno, libc, SysError } from '../../shared/sys/libc.ts';
import { scratch } from '../../shared/sys/scratch.ts';
import { boundPort, writeSocketName } from './udpSocket.ts';

export interface ServiceSockets {
  /** Close-on-exec; a child inherits them only where they are named in its stdio. */
  readonly udp: number;
  /** null: another process has the port. */
  readonly tcp: number | null;
  readonly port: number;
  close(): void;
}

/** `::` takes IPv4, too. Port 0 lets the kernel choose. Throws SysError, with nothing left open. */
export function openServiceSockets(host: IpAddress, port: number): ServiceSockets {
  const open: number[] = [];
  const close = (): void => {
    for (const fd of open.splice(0)) {
      libc.close(fd);
    }
  };
  try {
    const udp = openSocket(host, SOCK_DGRAM);
    open.push(udp);
    bind(udp, host, port);
    const bound = boundPort(udp);
    const tcp = openSocket(host, SOCK_STREAM);
    open.push(tcp);
    setOption(tcp, SOL_SOCKET, SO_REUSEADDR, 1);
    return { udp, tcp: listensOn(tcp, host, bound) ? tcp : null, port: bound, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** False when the port is another process's. */
function listensOn(fd: number, host: IpAddress, port: number): boolean {
  try {
    bind(fd, host, port);
    check(libc.listen(fd, BACKLOG), 'listen');
    return true;
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EADDRINUSE) {
      return false;
    }
    throw error;
  }
}

function openSocket(host: IpAddress, type: number): number {
  const domain = host.family === 4 ? AF_INET : AF_INET6;
  const fd = check(libc.socket(domain, type | O_NONBLOCK | O_CLOEXEC, 0), 'socket');
  if (domain === AF_INET6) {
    setOption(fd, SOL_IPV6, IPV6_V6ONLY, 0);
  }
  return fd;
}

function bind(fd: number, host: IpAddress, port: number): void {
  const length = writeSocketName(host, port);
  check(libc.bind(fd, scratch.address, length), 'bind');
}

function setOption(fd: number, level: number, name: number, value: number): void {
  scratch.view.setInt32(0, value, true);
  check(libc.setsockopt(fd, level, name, scratch.address, 4), 'setsockopt');
}

/** Connections that wait to be accepted. */
const BACKLOG = 64;
