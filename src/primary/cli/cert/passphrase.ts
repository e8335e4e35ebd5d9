/**
 * The passphrase of an encrypted CA key: from the environment, else typed without echo. It is bytes, never a string, so
 * that it can be wiped; whoever gets it wipes it.
 */
import { type CertInput, type CertIo, CommandError } from './io.ts';

const VARIABLE = 'NEBULA_CA_PASSPHRASE';
const ATTEMPT_COUNT_MAX = 5;

/** What to say when there is nobody to ask, and when nothing was typed. */
export interface PassphraseErrors {
  readonly notInteractive: string;
  readonly empty: string;
}

/** The passphrase; never empty. Throws CommandError. */
export async function readPassphrase(io: CertIo, errors: PassphraseErrors): Promise<Uint8Array> {
  const fromEnvironment = io.env[VARIABLE];
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    return Buffer.from(fromEnvironment);
  }
  if (io.stdin.isTTY !== true || io.stdin.setRawMode === undefined) {
    throw new CommandError(errors.notInteractive);
  }
  for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
    io.stderr.write('Enter passphrase: ');
    const typed = await readLineWithoutEcho(io.stdin);
    io.stderr.write('\n');
    if (typed === null) {
      throw new CommandError('interrupted');
    }
    if (typed.length > 0) {
      return typed;
    }
  }
  throw new CommandError(errors.empty);
}

const Key = {
  CtrlC: 0x03,
  CtrlD: 0x04,
  Backspace: 0x08,
  LineFeed: 0x0a,
  Return: 0x0d,
  CtrlU: 0x15,
  Delete: 0x7f,
} as const;

/** One line of a terminal in raw mode; null for Ctrl-C. */
function readLineWithoutEcho(terminal: CertInput): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    const line = new TypedLine();
    const finish = (result: Uint8Array | null): void => {
      terminal.off('data', onData);
      terminal.off('end', onEnd);
      terminal.setRawMode?.(false);
      terminal.pause();
      line.wipe();
      resolve(result);
    };
    const onEnd = (): void => finish(line.copy());
    const onData = (chunk: Uint8Array): void => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      for (const byte of bytes) {
        if (byte === Key.Return || byte === Key.LineFeed || byte === Key.CtrlD) {
          finish(line.copy());
          return;
        }
        if (byte === Key.CtrlC) {
          finish(null);
          return;
        }
        line.type(byte);
      }
    };
    terminal.setRawMode?.(true);
    terminal.on('data', onData);
    terminal.on('end', onEnd);
    terminal.resume();
  });
}

/** The line so far, with the editing keys of a terminal. */
class TypedLine {
  readonly #bytes = new Uint8Array(4096);
  #length = 0;

  type(byte: number): void {
    if (byte === Key.Backspace || byte === Key.Delete) {
      this.#removeCharacter();
    } else if (byte === Key.CtrlU) {
      this.wipe();
    } else if (byte >= 0x20 && this.#length < this.#bytes.length) {
      this.#bytes[this.#length++] = byte;
    }
  }

  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  /** All bytes of the last UTF-8 character. */
  #removeCharacter(): void {
    while (this.#length > 0) {
      const last = this.#bytes[--this.#length];
      this.#bytes[this.#length] = 0;
      if ((last & 0xc0) !== 0x80) {
        return;
      }
    }
  }
}
