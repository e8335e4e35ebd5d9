/**
 * A certificate as a QR code for a phone's camera: error correction "medium", 5 pixels a module, 4 modules of margin, as
 * a black-and-white PNG (W3C PNG: colour type 0, one bit a pixel).
 */
import { deflateSync } from 'node:zlib';
import encodeQr from 'qr';
import { CommandError } from './io.ts';

const PIXELS_PER_MODULE = 5;
const MARGIN_MODULES = 4;

/** The image file. Throws CommandError when the text is too long for any QR code (about 2300 bytes). */
export function qrCodePng(text: string): Uint8Array {
  let rows: boolean[][];
  try {
    rows = encodeQr(text, 'raw', { ecc: 'medium', border: MARGIN_MODULES, scale: PIXELS_PER_MODULE, encoding: 'byte' });
  } catch {
    throw new CommandError(`error while generating qr code: ${text.length} bytes do not fit`);
  }
  return pngOf(rows);
}

/** `rows` are the pixels, true is black. */
function pngOf(rows: readonly (readonly boolean[])[]): Uint8Array {
  const width = rows[0].length;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(rows.length, 4);
  header[8] = 1;
  // Each line starts with its filter, 0 for none; a set bit is white.
  const lineBytes = 1 + Math.ceil(width / 8);
  const pixels = Buffer.alloc(lineBytes * rows.length);
  for (const [y, row] of rows.entries()) {
    for (let x = 0; x < width; x++) {
      if (!row[x]) {
        pixels[y * lineBytes + 1 + (x >> 3)] |= 0x80 >> (x & 7);
      }
    }
  }
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(pixels, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(content.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** CRC-32 as in the PNG specification, annex D; node:zlib has it only from Node 22. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
    }
  }
  return ~crc >>> 0;
}
