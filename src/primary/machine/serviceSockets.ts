/**
 * The sockets of a small service, bound by a process that may and used by one that may not: UDP, and TCP on the same port
 * where that is free.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
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
    const udp = openSocket(host, SocketDatagram);
    open.push(udp);
    bind(udp, host, port);
    const bound = boundPort(udp);
    const tcp = openSocket(host, SocketStream);
    open.push(tcp);
    setOption(tcp, SolSocket, SoReuseAddress, 1);
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
    check(libc.listen(fd, Backlog), 'listen');
    return true;
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EADDRINUSE) {
      return false;
    }
    throw error;
  }
}

function openSocket(host: IpAddress, type: number): number {
  const domain = host.family === 4 ? FamilyIpv4 : FamilyIpv6;
  const fd = check(libc.socket(domain, type | NonBlocking | CloseOnExec, 0), 'socket');
  if (domain === FamilyIpv6) {
    setOption(fd, SolIpv6, Ipv6Only, 0);
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
const Backlog = 64;
const FamilyIpv4 = 2;
const FamilyIpv6 = 10;
const SocketStream = 1;
const SocketDatagram = 2;
const NonBlocking = 0o4000;
const CloseOnExec = 0o2000000;
const SolSocket = 1;
const SoReuseAddress = 2;
const SolIpv6 = 41;
const Ipv6Only = 26;
