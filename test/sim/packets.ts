/** Bare headers: what anybody can write. */
import { HEADER_BYTES, writeHeader } from '../../src/shared/wire/header.ts';

export function headerBytes(type: number, subtype: number, remoteIndex: number, counter: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  writeHeader(
    new DataView(header.buffer),
    0,
    type,
    subtype,
    0,
    remoteIndex,
    Math.floor(counter / 2 ** 32),
    counter >>> 0,
  );
  return header;
}
