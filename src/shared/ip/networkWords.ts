/**
 * Addresses and networks as 32-bit words, for comparisons per packet: flat typed arrays, no allocation, IPv4 as
 * ::ffff:a.b.c.d. Lists are short (a node's own networks, its unsafe routes), so they are searched in order.
 */
import { addressFromBytes, type IpAddress, type Prefix, writeMapped } from './address.ts';

/** The second-last word of an IPv4 address written as ::ffff:a.b.c.d. */
export const MAPPED_WORD = 0xffff;

/** Words of one network: 4 of the network, 4 of its mask. */
const NETWORK_WORDS = 8;

/** Four signed words an address. */
export function addressWords(addresses: readonly IpAddress[]): Int32Array {
  const bytes = new Uint8Array(addresses.length * 16);
  for (const [index, address] of addresses.entries()) {
    writeMapped(address, bytes, index * 16);
  }
  const view = new DataView(bytes.buffer);
  return Int32Array.from({ length: addresses.length * 4 }, (_, word) => view.getInt32(word * 4));
}

/** The address that four words spell. Cold: allocates. */
export function addressOfWords(a0: number, a1: number, a2: number, a3: number): IpAddress {
  const view = new DataView(new ArrayBuffer(16));
  view.setInt32(0, a0);
  view.setInt32(4, a1);
  view.setInt32(8, a2);
  view.setInt32(12, a3);
  return addressFromBytes(new Uint8Array(view.buffer));
}

/** Whether an address with these three first words is an IPv4 address. */
export function isMappedWords(a0: number, a1: number, a2: number): boolean {
  return a0 === 0 && a1 === 0 && a2 === MAPPED_WORD;
}

/** Eight words a network; host bits are cleared. */
export function networkWords(networks: readonly Prefix[]): Int32Array {
  const words = new Int32Array(networks.length * NETWORK_WORDS);
  for (const [index, network] of networks.entries()) {
    const base = index * NETWORK_WORDS;
    const bits = network.address.family === 4 ? network.bits + 96 : network.bits;
    words.set(addressWords([network.address]), base);
    for (let word = 0; word < 4; word++) {
      const left = Math.min(32, Math.max(0, bits - word * 32));
      const mask = left === 0 ? 0 : -1 << (32 - left);
      words[base + 4 + word] = mask;
      words[base + word] &= mask;
    }
  }
  return words;
}

/**
 * Position of the first network that contains the address, or -1: longest first makes it the longest match. A short
 * IPv6 network such as ::/0 covers ::ffff:0:0/96 as a number, but contains no IPv4 address.
 */
export function findNetwork(words: Int32Array, d0: number, d1: number, d2: number, d3: number): number {
  const isIpv4 = isMappedWords(d0, d1, d2);
  for (let base = 0; base < words.length; base += NETWORK_WORDS) {
    if (
      (d3 & words[base + 7]) === words[base + 3] &&
      (d2 & words[base + 6]) === words[base + 2] &&
      (d1 & words[base + 5]) === words[base + 1] &&
      (d0 & words[base + 4]) === words[base] &&
      (!isIpv4 || words[base + 6] === -1)
    ) {
      return base / NETWORK_WORDS;
    }
  }
  return -1;
}

/** Whether a list made by `addressWords` has the address. */
export function containsAddress(words: Int32Array, d0: number, d1: number, d2: number, d3: number): boolean {
  for (let base = 0; base < words.length; base += 4) {
    if (
      words[base + 3] === (d3 | 0) &&
      words[base + 2] === (d2 | 0) &&
      words[base + 1] === (d1 | 0) &&
      words[base] === (d0 | 0)
    ) {
      return true;
    }
  }
  return false;
}
