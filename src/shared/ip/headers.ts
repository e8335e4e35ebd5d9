/**
 * Where the fields of inner packets lie, from the start of their header, and what IPv6 may put before an upper layer.
 *
 * RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP), RFC 792 and 4443 (ICMP). All fields are big endian.
 */

/** IP protocol numbers that the data path tells apart. */
export const IpProtocol = { Icmp: 1, Tcp: 6, Udp: 17, Icmpv6: 58 } as const;

/** Without options. The low half of the first byte counts the header's words. */
export const IPV4_HEADER_BYTES = 20;
/** Version 4 and a header without options. */
export const IPV4_PLAIN = 0x45;
export const IPV4_TYPE_OF_SERVICE = 1;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_ID = 4;
/** Flags and offset, 16 bits. */
export const IPV4_FRAGMENT = 6;
export const IPV4_TIME_TO_LIVE = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
/** Of the fragment field: which part of its packet a fragment is; set in all but the first. */
export const FRAGMENT_OFFSET = 0x1fff;
/** Of the fragment field: set in every fragment (more follow, or an offset). */
export const FRAGMENT_ANY = 0x3fff;

/** Without extension headers. */
export const IPV6_HEADER_BYTES = 40;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/** Without options. The high half of the byte at `TCP_DATA_OFFSET` counts the header's words. */
export const TCP_HEADER_BYTES = 20;
export const TCP_SOURCE_PORT = 0;
export const TCP_DESTINATION_PORT = 2;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const TCP_URGENT_POINTER = 18;
export const TcpFlag = { Fin: 0x01, Syn: 0x02, Reset: 0x04, Push: 0x08, Ack: 0x10, Ece: 0x40, Cwr: 0x80 } as const;

export const UDP_HEADER_BYTES = 8;
export const UDP_DESTINATION_PORT = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;

export const ICMP_HEADER_BYTES = 8;
export const ICMP_TYPE = 0;
export const ICMP_CODE = 1;
export const ICMP_CHECKSUM = 2;
export const ICMP_IDENTIFIER = 4;
export const Icmpv6Type = { EchoRequest: 128, EchoReply: 129 } as const;

const HOP_BY_HOP = 0;
const ROUTING = 43;
export const EXTENSION_FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;

/** Whether the header with this number is one that another may follow (RFC 8200 §4, RFC 4302). */
export function isExtension(next: number): boolean {
  return (
    next === HOP_BY_HOP ||
    next === ROUTING ||
    next === DESTINATION_OPTIONS ||
    next === AUTHENTICATION ||
    next === EXTENSION_FRAGMENT
  );
}

/** Whether it is an extension that leaves the packet whole and its addresses what they are. */
export function isOptions(next: number): boolean {
  return next === HOP_BY_HOP || next === DESTINATION_OPTIONS;
}

/** Bytes of the `extension` at `at`, whose first byte names the next header (RFC 8200 §4, RFC 4302 §2.2). */
export function extensionBytes(bytes: Uint8Array, at: number, extension: number): number {
  if (extension === EXTENSION_FRAGMENT) {
    return 8;
  }
  return extension === AUTHENTICATION ? (bytes[at + 1] + 2) * 4 : (bytes[at + 1] + 1) * 8;
}
