/**
 * How the modes of `weft cert` touch the world: streams, files with mode 0600, `-` for standard input and output, and
 * the errors that end a mode. Every mode reads and writes through here only.
 */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { CertificateError } from '../../../shared/cert/certificateError.ts';
import { errorText } from '../../../shared/log/errorText.ts';

/** What a mode needs of its process; tests pass their own. */
export interface CertIo {
  readonly stdin: CertInput;
  readonly stdout: { write(chunk: string | Uint8Array): unknown };
  readonly stderr: { write(chunk: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Unix milliseconds, as Date.now. */
  now(): number;
}

/** process.stdin, as far as it is used. */
export interface CertInput extends AsyncIterable<string | Uint8Array> {
  readonly isTTY?: boolean | undefined;
  setRawMode?(isRaw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: 'data' | 'end', listener: (chunk: Uint8Array) => void): unknown;
  off(event: 'data' | 'end', listener: (chunk: Uint8Array) => void): unknown;
}

/** Ends a mode with exit code 1; a usage error also prints the mode's usage. */
export class CommandError extends Error {
  readonly isUsage: boolean;

  constructor(message: string, isUsage: boolean = false) {
    super(message);
    this.name = 'CommandError';
    this.isUsage = isUsage;
  }
}

export function usageError(message: string): CommandError {
  return new CommandError(message, true);
}

export function unixSeconds(io: CertIo): number {
  return Math.floor(io.now() / 1000);
}

/** Refuses more than one `-` among the input flags, and among the output flags. Both are flag name → path. */
export function checkStreams(
  inputs: Readonly<Record<string, string>>,
  outputs: Readonly<Record<string, string>>,
): void {
  for (const [paths, rule] of [
    [inputs, 'only one input may read from stdin'],
    [outputs, 'only one output may write to stdout'],
  ] as const) {
    const names = Object.keys(paths).filter((name) => paths[name] === '-');
    if (names.length > 1) {
      throw usageError(`-${names[0]} and -${names[1]} both set to "-", ${rule}`);
    }
  }
}

/** A whole file, or standard input for `-`. `what` names it in the error: "error while reading ca-key: …". */
export async function readInput(io: CertIo, path: string, what: string): Promise<Uint8Array> {
  try {
    return path === '-' ? await readAll(io.stdin) : readFileSync(path);
  } catch (error) {
    throw new CommandError(`error while reading ${what}: ${errorText(error)}`);
  }
}

/** What `parse` gives; a fault that it finds ends the mode. `what` comes in front: "error while parsing crt: …". */
export function attempt<Result>(what: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (error instanceof CertificateError) {
      throw new CommandError(`${what}: ${error.reason}`);
    }
    throw error;
  }
}

/** Refuses when the file is there; `-` never is. */
export function refuseOverwriting(path: string, what: string): void {
  if (path !== '-' && existsSync(path)) {
    throw new CommandError(`refusing to overwrite existing ${what}: ${path}`);
  }
}

export type WriteMode =
  /** Fails when the file has appeared in the meantime. */
  | 'new'
  /** Writes over what is there, and takes the file's other permissions away. */
  | 'overwrite'
  /** Puts a complete new file in its place at once. */
  | 'replace';

/** Writes a file of mode 0600, or to standard output for `-`. */
export function writeOutput(
  io: CertIo,
  path: string,
  content: string | Uint8Array,
  what: string,
  mode: WriteMode,
): void {
  if (path === '-') {
    // A copy: the stream may still hold it when the caller wipes its bytes.
    io.stdout.write(typeof content === 'string' ? content : Uint8Array.from(content));
    return;
  }
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  try {
    if (mode === 'replace') {
      replaceFile(path, bytes);
    } else {
      writeFile(path, bytes, mode === 'new' ? 'wx' : 'w');
    }
  } catch (error) {
    throw new CommandError(`error while writing ${what}: ${errorText(error)}`);
  }
}

/** Text with its control and format characters spelled out: names come from strangers, a terminal must not obey them. */
export function printable(text: string): string {
  return text.replaceAll(
    /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

function writeFile(path: string, bytes: Uint8Array, flags: 'w' | 'wx'): void {
  const fd = openSync(path, flags, 0o600);
  try {
    if (fstatSync(fd).isFile()) {
      fchmodSync(fd, 0o600);
    }
    for (let offset = 0; offset < bytes.length; ) {
      offset += writeSync(fd, bytes, offset);
    }
  } finally {
    closeSync(fd);
  }
}

/** A link stays a link: what it points to is replaced. */
function replaceFile(path: string, bytes: Uint8Array): void {
  const target = existsSync(path) ? realpathSync(path) : path;
  const temporary = `${target}.${process.pid}.new`;
  try {
    writeFile(temporary, bytes, 'wx');
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function readAll(stream: CertInput): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  }
  return Buffer.concat(chunks);
}
