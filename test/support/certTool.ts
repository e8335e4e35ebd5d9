/** Runs `weft cert` in this process: a temporary folder, a fixed clock, collected output. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { CertInput, CertIo } from '../../src/primary/cli/cert/io.ts';
import { runCert } from '../../src/primary/cli/cert/main.ts';
import { parseCertificates } from '../../src/primary/pki/certificateFile.ts';
import type { Certificate } from '../../src/shared/cert/certificate.ts';

export interface CertRun {
  readonly code: number;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

export interface CertRunOptions {
  /** What arrives on a standard input that is no terminal. */
  readonly stdin?: string | Uint8Array;
  /** Lines typed at a terminal, one per prompt. */
  readonly typed?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class CertTool {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'weft-cert-'));
  /** Unix seconds. */
  now: number;
  readonly #followsClock: boolean;

  /** Starts at `now`; stays there, or goes with the clock of the programs that run beside it. */
  constructor(now: number, followsClock: boolean = false) {
    this.now = now;
    this.#followsClock = followsClock;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }

  async run(argv: readonly string[], options: CertRunOptions = {}): Promise<CertRun> {
    if (this.#followsClock) {
      this.now = Math.floor(Date.now() / 1000);
    }
    const out: Buffer[] = [];
    const errors: string[] = [];
    const io: CertIo = {
      stdin: options.typed === undefined ? Readable.from(chunksOf(options.stdin)) : terminal(options.typed),
      stdout: { write: (chunk) => out.push(Buffer.from(chunk)) },
      stderr: { write: (chunk) => errors.push(chunk) },
      env: options.env ?? {},
      now: () => this.now * 1000,
    };
    const code = await runCert(argv, io);
    const stdoutBytes = Buffer.concat(out);
    return { code, stdout: stdoutBytes.toString(), stdoutBytes, stderr: errors.join('') };
  }

  /** Runs what must succeed silently. */
  async must(argv: readonly string[], options: CertRunOptions = {}): Promise<void> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code !== 0 || stdout !== '' || (stderr !== '' && options.typed === undefined)) {
      throw new Error(`weft cert ${argv.join(' ')}: exit ${code}, "${stdout}", "${stderr}"`);
    }
  }

  /** Runs what must fail with exit code 1 and nothing on standard output; gives what stands behind "Error: ". */
  async failure(argv: readonly string[], options: CertRunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    const match = /^(?:Enter passphrase: \n)*Error: (.*)$/s.exec(stderr);
    if (code !== 1 || stdout !== '' || match === null) {
      throw new Error(`weft cert ${argv.join(' ')}: exit ${code}, "${stdout}", "${stderr}"`);
    }
    return match[1];
  }

  /** Makes NAME.key and NAME.crt; gives the flags that name them as the signing CA. */
  async makeCa(name: string, ...flags: readonly string[]): Promise<readonly string[]> {
    await this.must(['ca', '-name', name, ...this.outputs(name), ...flags]);
    return ['-ca-key', this.path(`${name}.key`), '-ca-crt', this.path(`${name}.crt`)];
  }

  /** The flags that write NAME.key and NAME.crt. */
  outputs(name: string): readonly string[] {
    return ['-out-key', this.path(`${name}.key`), '-out-crt', this.path(`${name}.crt`)];
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'latin1');
  }

  mode(name: string): number {
    return statSync(this.path(name)).mode & 0o777;
  }

  certificates(name: string): Certificate[] {
    return parseCertificates(readFileSync(this.path(name)));
  }
}

/** A terminal in raw mode at which somebody types one line whenever the reading starts. */
export function terminal(lines: readonly string[]): CertInput & { readonly modes: readonly boolean[] } {
  const stream = new PassThrough();
  const modes: boolean[] = [];
  const pending = [...lines];
  return Object.assign(stream, {
    isTTY: true as const,
    modes,
    setRawMode(isRaw: boolean) {
      modes.push(isRaw);
      const line = isRaw ? pending.shift() : undefined;
      if (line !== undefined) {
        stream.write(line);
      }
    },
  });
}

function chunksOf(content: string | Uint8Array | undefined): Uint8Array[] {
  return content === undefined ? [] : [Buffer.from(content)];
}
