/**
 * PEM blocks (RFC 7468) over bytes: keys pass through here, so nothing becomes a string that could not be wiped.
 * Text before and between blocks is a comment; a block that is cut off or broken is an error, never skipped.
 */
import { CertificateError } from '../../shared/cert/certificateError.ts';

export interface PemBlock {
  /** The label between `BEGIN` and the dashes. */
  readonly banner: string;
  readonly content: Uint8Array;
}

/**
 * All blocks of a file; none for an empty one. Throws CertificateError for text without a block, for a block without its
 * end or with other than base64 in it, and for text behind the last block (it may be a block that lost its first line).
 */
export function parsePem(file: Uint8Array): PemBlock[] {
  const blocks: PemBlock[] = [];
  let stray = 0;
  for (const scan = new LineScan(file); scan.next(); ) {
    const banner = labelOf(scan.text(), 'BEGIN');
    if (banner === null) {
      stray = stray === 0 && !scan.isBlank ? scan.number : stray;
      continue;
    }
    stray = 0;
    blocks.push(readBlock(scan, banner));
  }
  if (stray > 0) {
    const what = blocks.length === 0 ? 'it has text but no PEM block' : 'text follows the last PEM block';
    throw new CertificateError(`input did not contain a valid PEM encoded block: line ${stray}: ${what}`);
  }
  return blocks;
}

/** The first block; what follows is not looked at. Throws CertificateError when there is none. */
export function firstPemBlock(file: Uint8Array): PemBlock {
  for (const scan = new LineScan(file); scan.next(); ) {
    const banner = labelOf(scan.text(), 'BEGIN');
    if (banner !== null) {
      return readBlock(scan, banner);
    }
  }
  throw new CertificateError('input did not contain a valid PEM encoded block');
}

/** One block with a newline at its end, as bytes that the caller may wipe. */
export function formatPem(banner: string, content: Uint8Array): Uint8Array {
  const begin = `-----BEGIN ${banner}-----\n`;
  const end = `-----END ${banner}-----\n`;
  const digitCount = Math.ceil(content.length / 3) * 4;
  const lineCount = Math.ceil(digitCount / LINE_DIGITS);
  const file = new Uint8Array(begin.length + digitCount + lineCount + end.length);
  let offset = writeAscii(file, 0, begin);
  let column = 0;
  for (let index = 0; index < content.length; index += 3) {
    const left = content.length - index;
    const word = (content[index] << 16) | ((content[index + 1] ?? 0) << 8) | (content[index + 2] ?? 0);
    file[offset++] = DIGITS[word >>> 18];
    file[offset++] = DIGITS[(word >>> 12) & 63];
    file[offset++] = left > 1 ? DIGITS[(word >>> 6) & 63] : PADDING;
    file[offset++] = left > 2 ? DIGITS[word & 63] : PADDING;
    column += 4;
    if (column === LINE_DIGITS || left <= 3) {
      file[offset++] = NEWLINE;
      column = 0;
    }
  }
  writeAscii(file, offset, end);
  return file;
}

const NEWLINE = 0x0a;
const PADDING = 0x3d;
const LINE_DIGITS = 64;

/** Steps through lines without their ends and surrounding blanks. */
class LineScan {
  /** One-based. */
  number = 0;
  start = 0;
  end = 0;
  readonly #file: Uint8Array;
  #offset = 0;

  constructor(file: Uint8Array) {
    this.#file = file;
  }

  get isBlank(): boolean {
    return this.start === this.end;
  }

  next(): boolean {
    if (this.#offset >= this.#file.length) {
      return false;
    }
    const newline = this.#file.indexOf(NEWLINE, this.#offset);
    this.start = this.#offset;
    this.end = newline < 0 ? this.#file.length : newline;
    this.#offset = this.end + 1;
    while (this.end > this.start && isBlank(this.#file[this.end - 1])) {
      this.end--;
    }
    while (this.start < this.end && isBlank(this.#file[this.start])) {
      this.start++;
    }
    this.number++;
    return true;
  }

  /** The line as text when it starts with dashes; other lines may be key material and give an empty text. */
  text(): string {
    const isLabel = this.#file[this.start] === 0x2d && this.end > this.start;
    return isLabel ? Buffer.from(this.#file.subarray(this.start, this.end)).toString('latin1') : '';
  }

  line(): Uint8Array {
    return this.#file.subarray(this.start, this.end);
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function labelOf(line: string, word: 'BEGIN' | 'END'): string | null {
  const prefix = `-----${word} `;
  return line.startsWith(prefix) && line.endsWith('-----') && line.length > prefix.length + 5
    ? line.slice(prefix.length, -5)
    : null;
}

function readBlock(scan: LineScan, banner: string): PemBlock {
  const firstLine = scan.number;
  const base64 = new Base64Reader();
  while (scan.next()) {
    const line = scan.text();
    if (labelOf(line, 'END') === banner) {
      const content = base64.finish();
      if (content === null) {
        throw new CertificateError(`the PEM block of line ${firstLine} does not contain valid base64`);
      }
      return { banner, content };
    }
    if (line !== '' || !base64.add(scan.line())) {
      base64.wipe();
      throw new CertificateError(
        `input did not contain a valid PEM encoded block: line ${scan.number} of the block of line ${firstLine} is no base64`,
      );
    }
  }
  base64.wipe();
  throw new CertificateError(`truncated PEM block: the block of line ${firstLine} has no END line`);
}

class Base64Reader {
  #content = new Uint8Array(256);
  #length = 0;
  #word = 0;
  #digitCount = 0;
  #paddingCount = 0;

  /** False for a character that is neither a digit nor padding at the end. */
  add(line: Uint8Array): boolean {
    for (const character of line) {
      const value = VALUES[character];
      if (character === PADDING) {
        this.#paddingCount++;
      } else if (value === NO_DIGIT || this.#paddingCount > 0) {
        return false;
      }
      this.#word = (this.#word << 6) | (value & 63);
      this.#digitCount++;
      if (this.#digitCount % 4 === 0) {
        this.#append();
      }
    }
    return true;
  }

  finish(): Uint8Array | null {
    const isWhole = this.#digitCount % 4 === 0 && this.#paddingCount <= 2;
    const content = isWhole ? this.#content.slice(0, this.#length - this.#paddingCount) : null;
    this.wipe();
    return content;
  }

  wipe(): void {
    this.#content.fill(0);
    this.#word = 0;
  }

  #append(): void {
    if (this.#length + 3 > this.#content.length) {
      const larger = new Uint8Array(this.#content.length * 4);
      larger.set(this.#content);
      this.#content.fill(0);
      this.#content = larger;
    }
    this.#content[this.#length++] = this.#word >>> 16;
    this.#content[this.#length++] = this.#word >>> 8;
    this.#content[this.#length++] = this.#word;
    this.#word = 0;
  }
}

function writeAscii(target: Uint8Array, offset: number, text: string): number {
  target.set(Buffer.from(text, 'latin1'), offset);
  return offset + text.length;
}

const DIGITS: Uint8Array = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const NO_DIGIT = 0xff;
const VALUES: Uint8Array = valuesOf(DIGITS);

function valuesOf(digits: Uint8Array): Uint8Array {
  const values = new Uint8Array(256).fill(NO_DIGIT);
  values[PADDING] = 0;
  digits.forEach((digit, value) => {
    values[digit] = value;
  });
  return values;
}
