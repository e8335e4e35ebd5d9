/**
 * A child process whose lines are kept: a node of the demo, an end-to-end test's peer, a traffic generator.
 *
 * Every program leads a session and process group of its own, so a Ctrl-C at the terminal reaches only us and we end the
 * group in order. `lab.ts` starts programs and remembers them; nothing else should construct one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { isRunning, killGroup, type ProcessMark, processStat } from './processTable.ts';

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly directory?: string;
  /** Closes standard input at once when absent. */
  readonly input?: string;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Program {
  readonly title: string;
  readonly mark: ProcessMark;
  /** Settles when the process has ended and its output has been read to the end. */
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #listeners = new Set<() => void>();
  #stdout = '';
  #status: ExitStatus | null = null;

  /** Throws when the program cannot be started at all (not found, not executable). */
  constructor(title: string, command: readonly string[], options: ProgramOptions = {}) {
    const child = spawn(command[0], command.slice(1), {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
    });
    this.#child = child;
    this.title = title;
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        const status = { code, signal };
        this.#status = status;
        this.#announce();
        resolve(status);
      });
    });
    this.exited.catch(() => undefined);
    if (child.pid === undefined) {
      throw new Error(`cannot start ${title}: ${command[0]} was not found or is not executable`);
    }
    this.mark = { pid: child.pid, startTicks: processStat(child.pid)?.startTicks ?? 0 };
    // A program that ends without reading its input is no error of ours.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    this.#collect(child.stdout, true);
    this.#collect(child.stderr, false);
  }

  get pid(): number {
    return this.mark.pid;
  }

  /** Null while it runs. */
  get status(): ExitStatus | null {
    return this.#status;
  }

  /** Standard output and standard error, line by line in the order of arrival. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** The first line at or after index `from` that matches; throws after `timeoutMs`, or at once when the program ends without it. */
  waitForLine(pattern: RegExp, timeoutMs: number = 30_000, from: number = 0): Promise<string> {
    let next = from;
    return new Promise((resolve, reject) => {
      const finish = (outcome: () => void): void => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        outcome();
      };
      const look = (): void => {
        while (next < this.#lines.length) {
          const line = this.#lines[next++];
          if (pattern.test(line)) {
            finish(() => resolve(line));
            return;
          }
        }
        const status = this.#status;
        if (status !== null) {
          finish(() => reject(this.#complaint(`ended (${describeExit(status)}) without printing ${pattern}`)));
        }
      };
      const timer = setTimeout(() => {
        finish(() => reject(this.#complaint(`did not print ${pattern} within ${timeoutMs} ms`)));
      }, timeoutMs);
      this.#listeners.add(look);
      look();
    });
  }

  /** Signals the program itself, not its children; nothing happens when it is gone. */
  signal(signal: NodeJS.Signals): void {
    if (this.#status === null && isRunning(this.mark)) {
      this.#child.kill(signal);
    }
  }

  /** Ends it by SIGTERM, and its whole group by SIGKILL when it has not ended after `graceMs`. */
  async stop(graceMs: number = 10_000): Promise<ExitStatus> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.killGroup(), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
      this.killGroup();
    }
  }

  /** Ends the program and whatever it has left in its group, at once. */
  killGroup(): void {
    killGroup(this.mark);
  }

  #collect(stream: Readable | null, isStdout: boolean): void {
    if (stream === null) {
      return;
    }
    createInterface({ input: stream }).on('line', (line) => {
      this.#lines.push(line);
      if (isStdout) {
        this.#stdout += `${line}\n`;
      }
      this.#announce();
    });
  }

  #announce(): void {
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }

  #complaint(what: string): Error {
    return new Error(`${this.title} ${what}; its last lines:\n  ${this.#lines.slice(-15).join('\n  ')}`);
  }
}

export function describeExit(status: ExitStatus): string {
  return status.signal === null ? `exit code ${status.code}` : `signal ${status.signal}`;
}
