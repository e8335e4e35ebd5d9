/** Sockets that reach no further than this process: a worker warms up over them. Non-blocking, close-on-exec. */
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPV6_V6ONLY,
  O_CLOEXEC,
  O_NONBLOCK,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOL_IPV6,
} from '../../shared/sys/abi.ts';
import { check, libc } from '../../shared/sys/libc.ts';
import { clearScratch, scratch } from '../../shared/sys/scratch.ts';

/** Two ends that pass whole messages to each other, as a tun queue passes packets. Throws SysError. */
export function socketPair(): readonly [number, number] {
  const type = SOCK_SEQPACKET | O_NONBLOCK | O_CLOEXEC;
  check(libc.socketpair(AF_UNIX, type, 0, scratch.address), 'socketpair');
  return [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
}

/** A UDP socket on 127.0.0.1, or on the same in IPv6's form, and its port. Throws SysError, and leaves nothing open then. */
export function loopbackSocket(family: 4 | 6): { readonly fd: number; readonly port: number } {
  const domain = family === 4 ? AF_INET : AF_INET6;
  const fd = check(libc.socket(domain, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0), 'socket');
  try {
    const addressBytes = family === 4 ? 16 : 28;
    clearScratch(LENGTH_OFFSET);
    if (family === 6) {
      check(libc.setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, scratch.address, 4), 'setsockopt(IPV6_V6ONLY)');
    }
    scratch.view.setUint16(0, domain, true);
    scratch.bytes.set(family === 4 ? [127, 0, 0, 1] : [255, 255, 127, 0, 0, 1], family === 4 ? 4 : 18);
    check(libc.bind(fd, scratch.address, addressBytes), 'bind');
    scratch.view.setUint32(LENGTH_OFFSET, addressBytes, true);
    check(libc.getsockname(fd, scratch.address, scratch.address + LENGTH_OFFSET), 'getsockname');
    return { fd, port: scratch.view.getUint16(2) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

const LENGTH_OFFSET = 32;
