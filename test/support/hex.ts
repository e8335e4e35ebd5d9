/** Bytes written as hex in tests, and back. */

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** `count` bytes: first, first + 1, … */
export function countingBytes(first: number, count: number = 32): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => first + index);
}
