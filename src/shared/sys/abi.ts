/**
 * Numbers of Linux that calls take, by the names of the kernel's headers: those that more than one file passes, and
 * everything about sockets. The values hold on the architectures of `libc.ts`.
 */

export const O_RDWR = 2;
/** As a flag of `open`, `socket`, `pipe2` and `eventfd`. */
export const O_NONBLOCK = 0o4000;
/** As a flag of `open`, `socket`, `pipe2` and `eventfd`. */
export const O_CLOEXEC = 0o2000000;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_RCVTIMEO = 20;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const SO_MEMINFO = 55;

export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

export const SOL_IP = 0;
/** As an option: datagrams come with the address they came to. As a control message: that, or where one shall come from. */
export const IP_PKTINFO = 8;

export const SOL_IPV6 = 41;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_V6ONLY = 26;

export const SOL_NETLINK = 270;
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;

/** The call never waits, whatever the socket's own mode, which its sharers can change. */
export const MSG_DONTWAIT = 0x40;

export const PR_SET_NO_NEW_PRIVS = 38;
