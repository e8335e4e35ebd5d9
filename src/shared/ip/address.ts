/**
 * IP addresses, prefixes and endpoints as immutable values of the control plane.
 *
 * A value carries its bytes in network order and its canonical text; the text is the key in a Map and what logs print.
 * IPv4-mapped IPv6 addresses are always unmapped, so one host has one spelling. Nothing here runs per packet: the data
 * path compares words of its own buffers (`ip/packetTuple.ts`, `memory/hostTable.ts`).
 */

export type Family = 4 | 6;

/** An address without a zone. `bytes` has 4 or 16 bytes in network order and must not be changed. */
export interface IpAddress {
  readonly family: Family;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** An address with a prefix length. Host bits are kept as given: `10.1.2.3/16` is a host's address and its network. */
export interface Prefix {
  readonly address: IpAddress;
  readonly bits: number;
  readonly text: string;
}

/** An underlay address and UDP port; text is `1.2.3.4:4242` or `[fd00::1]:4242`. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
  readonly text: string;
  /** The address of this machine that it called, to answer from there; left to the kernel when absent. Not in `text`. */
  readonly local?: IpAddress;
}

/** Parses dotted-quad IPv4 (no leading zeros, as RFC 6943 §3.1.1 asks) or IPv6 (RFC 4291 §2.2); null when malformed. */
export function parseAddress(text: string): IpAddress | null {
  if (text.includes(':')) {
    const bytes = parseIpv6(text);
    return bytes === null ? null : addressFromBytes(bytes);
  }
  const bytes = parseIpv4(text);
  return bytes === null ? null : addressFromBytes(bytes);
}

/** Copies 4 or 16 bytes starting at `offset` into a new address; ::ffff:a.b.c.d becomes IPv4. */
export function addressFromBytes(
  source: Uint8Array,
  offset: number = 0,
  length: number = source.length - offset,
): IpAddress {
  if (length !== 4 && length !== 16) {
    throw new RangeError(`an IP address has 4 or 16 bytes, not ${length}`);
  }
  if (length === 16 && isMappedBytes(source, offset)) {
    return addressFromBytes(source, offset + 12, 4);
  }
  // Not `slice`: of a Buffer that would be a view, and change with it.
  const bytes = new Uint8Array(source.subarray(offset, offset + length));
  return length === 4 ? { family: 4, bytes, text: bytes.join('.') } : { family: 6, bytes, text: formatIpv6(bytes) };
}

/** Writes the 16-byte form (IPv4 as ::ffff:a.b.c.d) that shared tables and sockaddr_in6 use. */
export function writeMapped(address: IpAddress, target: Uint8Array, offset: number): void {
  if (address.family === 6) {
    target.set(address.bytes, offset);
    return;
  }
  target.fill(0, offset, offset + 10);
  target[offset + 10] = 0xff;
  target[offset + 11] = 0xff;
  target.set(address.bytes, offset + 12);
}

/** Whether the 16-byte form at `offset` is an IPv4 address. */
export function isMappedBytes(bytes: Uint8Array, offset: number): boolean {
  for (let index = 0; index < 10; index++) {
    if (bytes[offset + index] !== 0) {
      return false;
    }
  }
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/** Parses `address/bits`; null when malformed, with a leading zero, or when bits exceed the family's width. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  if (slash < 0 || !/^(?:0|[1-9]\d{0,2})$/.test(text.slice(slash + 1))) {
    return null;
  }
  const address = parseAddress(text.slice(0, slash));
  const bits = Number(text.slice(slash + 1));
  return address === null || bits > address.bytes.length * 8 ? null : prefixOf(address, bits);
}

export function prefixOf(address: IpAddress, bits: number): Prefix {
  return { address, bits, text: `${address.text}/${bits}` };
}

/** The prefix with its host bits cleared: what a route or a set membership means. */
export function maskedPrefix(prefix: Prefix): Prefix {
  const bytes = prefix.address.bytes.map((byte, index) => byte & maskByte(prefix.bits, index));
  return prefixOf(addressFromBytes(bytes), prefix.bits);
}

export function prefixContains(prefix: Prefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) {
    return false;
  }
  for (let index = 0; index * 8 < prefix.bits; index++) {
    const mask = maskByte(prefix.bits, index);
    if (((prefix.address.bytes[index] ^ address.bytes[index]) & mask) !== 0) {
      return false;
    }
  }
  return true;
}

/** RFC 1918 and RFC 4193. */
export function isPrivate(address: IpAddress): boolean {
  const [first, second] = address.bytes;
  if (address.family === 6) {
    return (first & 0xfe) === 0xfc;
  }
  return first === 10 || (first === 172 && (second & 0xf0) === 16) || (first === 192 && second === 168);
}

/** Orders IPv4 before IPv6, then numerically: the order of certificate version 2 and of the tie-break between hosts. */
export function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (a.family !== b.family) {
    return a.family - b.family;
  }
  for (let index = 0; index < a.bytes.length; index++) {
    if (a.bytes[index] !== b.bytes[index]) {
      return a.bytes[index] - b.bytes[index];
    }
  }
  return 0;
}

export function comparePrefixes(a: Prefix, b: Prefix): number {
  return compareAddresses(a.address, b.address) || a.bits - b.bits;
}

export function endpointOf(address: IpAddress, port: number): Endpoint {
  return { address, port, text: address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}` };
}

/** Parses `1.2.3.4:port` or `[v6]:port`; null when malformed, when the port is not 0..65535 or when it is a name. */
export function parseEndpoint(text: string): Endpoint | null {
  const parts = splitHostPort(text);
  const address = parts === null ? null : parseAddress(parts.host);
  return parts === null || address === null ? null : endpointOf(address, parts.port);
}

/** Splits `host:port` or `[host]:port`, where host may be a name; null when there is no valid port. */
export function splitHostPort(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65535) {
    return null;
  }
  return { host: match[1] ?? match[2], port: Number(match[3]) };
}

function parseIpv4(text: string): Uint8Array | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) {
    return null;
  }
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 4; index++) {
    const part = match[index + 1];
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) {
      return null;
    }
    bytes[index] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) {
    return null;
  }
  const head = parseGroups(halves[0]);
  const tail = halves.length === 2 ? parseGroups(halves[1]) : [];
  if (head === null || tail === null) {
    return null;
  }
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) {
    return null;
  }
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** Colon-separated hextets, the last of which may be a dotted quad, as bytes. */
function parseGroups(text: string): number[] | null {
  if (text === '') {
    return [];
  }
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const quad = index === groups.length - 1 ? parseIpv4(group) : null;
    if (quad === null) {
      return null;
    }
    bytes.push(...quad);
  }
  return bytes.length > 16 ? null : bytes;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push((bytes[index] << 8) | bytes[index + 1]);
  }
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) {
      length++;
    }
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestStart < 0) {
    return hex.join(':');
  }
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`;
}

function maskByte(bits: number, index: number): number {
  const remaining = bits - index * 8;
  return remaining >= 8 ? 0xff : remaining <= 0 ? 0 : (0xff << (8 - remaining)) & 0xff;
}
