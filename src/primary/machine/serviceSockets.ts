/**
 * The sockets of a small service, bound by a process that may and used by one that may not: UDP and TCP on one port.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import { check, libc } from '../../shared/sys/libc.ts';
import { scratch } from '../../shared/sys/scratch.ts';
import { boundPort, writeSocketName } from './udpSocket.ts';

export interface ServiceSockets {
  /** Close-on-exec; a child inherits them only where they are named in its stdio. */
  readonly udp: number;
  readonly tcp: number;
  readonly port: number;
  close(): void;
}

/** Opens both or none; `::` takes IPv4, too. Port 0 lets the kernel choose. Throws SysError. */
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
    bind(tcp, host, bound);
    check(libc.listen(tcp, Backlog), 'listen');
    return { udp, tcp, port: bound, close };
  } catch (error) {
    close();
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
