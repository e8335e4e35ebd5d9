/**
 * What the trial of the encryption libraries found, kept in a file from one start to the next: a trial takes half of one.
 *
 * It holds while everything is as the trial saw it: the processor, the loader's environment, this program, every file that
 * was mapped as code (by size, mtime and inode), and the folders of the libraries, where another may have been installed.
 *
 * The file is believed only if it is this user's alone. While a library that it names is loaded and checked here, a mark
 * with the process's number stands beside it: a mark whose process is gone says that a library ended it, and that is the
 * end of the file too, so that it happens once. What it says can cost speed and nothing else, as `chooseProviders` checks
 * the libraries that it leads to.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { PROVIDER_NAMES, type ProviderName } from '../../shared/crypto/providerNames.ts';
import { type ProviderReport, type TrialMemory, trialFolder } from '../../shared/crypto/providers.ts';
import type { Speed } from '../../shared/crypto/trial.ts';
import { SOCKET_DIRECTORY } from '../config/socketPath.ts';
import { weftVersion } from '../version.ts';

/** Cleared when the machine starts; that is also when a processor may have changed. */
export function defaultTrialPath(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment.RUNTIME_DIRECTORY?.split(':')[0] || SOCKET_DIRECTORY, 'ciphers.json');
}

export class TrialFile implements TrialMemory {
  readonly #path: string;

  constructor(path: string = defaultTrialPath()) {
    this.#path = path;
  }

  recall(names: readonly ProviderName[]): readonly ProviderReport[] | null {
    try {
      const kept = parse(this.#read());
      const report = names.flatMap((name) => kept.report.find((entry) => entry.name === name) ?? []);
      const isCurrent = isDeepStrictEqual(kept.marks, marksOf(kept.report));
      if (!isCurrent || report.length !== names.length || this.#hasEndedOthers()) {
        return null;
      }
      writeFileSync(this.#mark, '', { flag: 'wx', mode: 0o600 });
      return report;
    } catch {
      // None yet, or none that could be believed: the trial costs half a second.
      return null;
    }
  }

  keep(report: readonly ProviderReport[]): void {
    const fresh = `${this.#path}.new${process.pid}`;
    try {
      makeFolder(dirname(this.#path));
      rmSync(fresh, { force: true });
      writeFileSync(fresh, JSON.stringify({ marks: marksOf(report), report }), { flag: 'wx', mode: 0o600 });
      renameSync(fresh, this.#path);
      rmSync(this.#mark, { force: true });
    } catch {
      // Nowhere to keep it: the next start tries again.
      rmSync(fresh, { force: true });
    }
  }

  /** Stands beside the file while this process makes use of it. */
  get #mark(): string {
    return `${this.#path}.${process.pid}`;
  }

  /** Whether a process did not survive what it read; the file and the marks are gone then. */
  #hasEndedOthers(): boolean {
    const name = `${basename(this.#path)}.`;
    const folder = dirname(this.#path);
    const dead = readdirSync(folder).filter((entry) => {
      const pid = entry.startsWith(name) ? entry.slice(name.length) : '';
      return /^\d+$/.test(pid) && (Number(pid) === process.pid || !existsSync(`/proc/${pid}`));
    });
    if (dead.length > 0) {
      rmSync(this.#path, { force: true });
      for (const entry of dead) {
        rmSync(join(folder, entry), { force: true });
      }
    }
    return dead.length > 0;
  }

  /** The text of the file. Throws when it is not ours alone. */
  #read(): string {
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { uid, mode, nlink, size } = fstatSync(fd);
      const isOurs = uid === process.geteuid?.() && mode === (constants.S_IFREG | 0o600) && nlink === 1;
      if (!isOurs || size > BYTES_MAX) {
        throw new Error(`${this.#path} is not only ours`);
      }
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  }
}

interface Kept {
  readonly marks: Marks;
  readonly report: readonly ProviderReport[];
}

/** By path or by name: what it was like when the trial ran. */
type Marks = Readonly<Record<string, string>>;

function marksOf(report: readonly ProviderReport[]): Marks {
  const files = new Set(report.flatMap((entry) => entry.files ?? []));
  const folders = new Set([...files].filter((path) => path.includes('.so')).map((path) => dirname(path)));
  const code = readdirSync(trialFolder).map((name) => join(trialFolder, name));
  const paths = [...files, ...folders, ...code, '/etc/ld.so.cache'];
  return {
    weft: weftVersion(),
    processor: processorText(),
    loader: JSON.stringify([process.env.LD_LIBRARY_PATH, process.env.LD_PRELOAD]),
    ...Object.fromEntries(paths.map((path) => [path, markOf(path)])),
  };
}

function markOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.size} ${found.mtimeNs} ${found.dev}:${found.ino}`;
}

/** Of the first processor, without what changes from moment to moment (its clock). */
function processorText(): string {
  const [first] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n');
  return first
    .split('\n')
    .filter((line) => /^(vendor_id|cpu family|model|stepping|microcode|flags|Features|CPU )/.test(line))
    .join('\n');
}

/** Throws unless it is what `keep` writes. */
function parse(text: string): Kept {
  const kept: unknown = JSON.parse(text);
  if (!isRecord(kept) || !isRecord(kept.marks) || !Array.isArray(kept.report) || !kept.report.every(isReport)) {
    throw new Error('not a trial');
  }
  return { marks: kept.marks as Marks, report: kept.report };
}

function isReport(value: unknown): value is ProviderReport {
  return (
    isRecord(value) &&
    PROVIDER_NAMES.some((name) => name === value.name) &&
    isSpeed(value.aes) &&
    isSpeed(value.chacha) &&
    typeof value.reason === 'string' &&
    Array.isArray(value.files) &&
    value.files.every((path) => typeof path === 'string')
  );
}

function isSpeed(value: unknown): value is Speed | null {
  return value === null || (isRecord(value) && typeof value.smallNs === 'number' && typeof value.largeNs === 'number');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** As the one of the control socket, which is the same. */
function makeFolder(path: string): void {
  if (mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined) {
    // The umask had a say in what mkdir made.
    chmodSync(path, 0o755);
  }
}

const BYTES_MAX = 65_536;
