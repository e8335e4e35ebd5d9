/**
 * A laboratory: network namespaces joined by virtual cables, and the programs that run in them.
 *
 * Used by `weft demo` and, openly, by the end-to-end tests and benchmarks. It needs no command of the system. A lab touches nothing of the machine's own network: all
 * links live inside its namespaces. Names carry this process's number (`weft-t4711-1-left`), and what a lab has started is
 * recorded under /run, so that
 *   - close() removes everything, also when it is called from an exit handler (it is synchronous for that reason);
 *   - the next run removes what a run killed by SIGKILL has left behind (`sweepLabs`), and only that: a process is ended only
 *     if that run had recorded it, a namespace removed only if its run is dead.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorText } from '../../../shared/log/errorText.ts';
import { NetworkNamespace, namespaceNames, removeNamespace } from './namespaces.ts';
import { isRunning, killGroup, markProcess, type ProcessMark } from './processTable.ts';
import { type ExitStatus, Program, type ProgramOptions } from './program.ts';

export interface Namespace {
  /** As the lab's owner calls it. */
  readonly label: string;
  /** As `ip netns` knows it. */
  readonly name: string;
}

/** One end of a cable: addresses with prefix length, IPv4 or IPv6. */
export interface Port {
  readonly namespace: Namespace;
  readonly addresses: readonly string[];
}

export interface CableOptions {
  readonly device?: string;
  readonly mtu?: number;
}

export interface CommandOutcome extends ExitStatus {
  readonly stdout: string;
  readonly lines: readonly string[];
}

const RECORDS = '/run/weft-lab';
const RECORD_ATTEMPTS = 5;

/** Null when namespaces can be made here, else one sentence that says why not. */
export function labObstacle(): string | null {
  if (process.getuid?.() !== 0) {
    return 'network namespaces can only be made by root';
  }
  try {
    new NetworkNamespace(`weft-probe${process.pid}`).remove();
    return null;
  } catch (error) {
    return `network namespaces cannot be made here: ${errorText(error)}`;
  }
}

export class Lab {
  /** A directory of its own for keys, certificates and configurations; removed by close(). */
  readonly directory: string;
  readonly #tag: string;
  /** By name. */
  readonly #namespaces = new Map<string, NetworkNamespace>();
  readonly #programs = new Set<Program>();
  #isClosed = false;

  /** `kind` is a short lower-case word that begins the names: `t` for tests, `demo`, `bench`. */
  constructor(kind: string) {
    this.#tag = `weft-${kind}${process.pid}-${++labCount}`;
    this.directory = mkdtempSync(join(tmpdir(), `${this.#tag}-`));
    openLabs.add(this);
    closeLabsOnExit();
    this.#record();
  }

  /** A namespace with its loopback device up. Duplicate address detection is off: IPv6 addresses work at once. */
  namespace(label: string): Namespace {
    const namespace = { label, name: `${this.#tag}-${label}` };
    this.#namespaces.set(namespace.name, new NetworkNamespace(namespace.name));
    return namespace;
  }

  /** Joins two namespaces by a veth pair; the device is called `cable0` on both ends unless told otherwise. */
  cable(left: Port, right: Port, options: CableOptions = {}): void {
    const device = options.device ?? 'cable0';
    this.#at(left.namespace).cable(device, this.#at(right.namespace), device);
    this.#raise(left, device, options);
    this.#raise(right, device, options);
  }

  /** Joins any number of namespaces by a bridge that stands in a namespace of its own. */
  lan(ports: readonly Port[], options: CableOptions = {}): void {
    const hub = this.#at(this.namespace(`hub${this.#namespaces.size}`));
    const device = options.device ?? 'cable0';
    hub.bridge('bridge0');
    for (const [index, port] of ports.entries()) {
      const end = `port${index}`;
      this.#at(port.namespace).cable(device, hub, end);
      hub.raise(end, { bridge: 'bridge0' });
      this.#raise(port, device, options);
    }
  }

  /** Starts a program in `namespace` and remembers it until it has ended. */
  start(namespace: Namespace, command: readonly string[], options: ProgramOptions & { title?: string } = {}): Program {
    const title = options.title ?? `${command[0]} (${namespace.label})`;
    const program = this.#at(namespace).within(() => new Program(title, command, options));
    this.#programs.add(program);
    this.#record();
    program.exited.finally(() => this.#programs.delete(program)).catch(() => undefined);
    return program;
  }

  /** Runs a program to its end. It is ended by force after `timeoutMs`, which the outcome then shows as a signal. */
  async run(namespace: Namespace, command: readonly string[], timeoutMs: number = 30_000): Promise<CommandOutcome> {
    const program = this.start(namespace, command);
    const timer = setTimeout(() => program.killGroup(), timeoutMs);
    try {
      const status = await program.exited;
      return { ...status, stdout: program.stdout, lines: program.lines };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends every program of this lab and removes its namespaces and files. Safe to call again. */
  close(): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    openLabs.delete(this);
    for (const program of this.#programs) {
      program.killGroup();
    }
    for (const namespace of this.#namespaces.values()) {
      namespace.remove();
    }
    rmSync(this.directory, { recursive: true, force: true });
    removeRecord(this.#tag);
  }

  #at(namespace: Namespace): NetworkNamespace {
    const found = this.#namespaces.get(namespace.name);
    if (found === undefined) {
      throw new Error(`namespace ${namespace.name} is not of this lab`);
    }
    return found;
  }

  #raise(port: Port, device: string, { mtu }: CableOptions): void {
    const { addresses } = port;
    this.#at(port.namespace).raise(device, { addresses, ...(mtu === undefined ? {} : { mtu }) });
  }

  #record(): void {
    const record: LabRecord = {
      owner: markProcess(process.pid) ?? { pid: process.pid, startTicks: 0 },
      tag: this.#tag,
      directory: this.directory,
      leaders: [...this.#programs].map((program) => program.mark),
    };
    const path = recordPath(this.#tag);
    // The folder goes with the last record of another run, perhaps just now.
    for (let attempt = 1; ; attempt++) {
      mkdirSync(RECORDS, { recursive: true, mode: 0o700 });
      try {
        writeFileSync(`${path}.new`, JSON.stringify(record));
        renameSync(`${path}.new`, path);
        return;
      } catch (error) {
        if (attempt === RECORD_ATTEMPTS) {
          throw error;
        }
      }
    }
  }
}

/** Removes what killed runs have left: recorded programs, namespaces, files. Returns the tags of the labs it removed. */
export function sweepLabs(): string[] {
  const swept: string[] = [];
  for (const record of readRecords()) {
    if (isRunning(record.owner)) {
      continue;
    }
    for (const leader of record.leaders) {
      killGroup(leader);
    }
    for (const name of namespaceNames()) {
      if (name.startsWith(`${record.tag}-`)) {
        removeNamespace(name);
      }
    }
    if (record.directory.startsWith(join(tmpdir(), record.tag))) {
      rmSync(record.directory, { recursive: true, force: true });
    }
    removeRecord(record.tag);
    swept.push(record.tag);
  }
  return swept;
}

interface LabRecord {
  readonly owner: ProcessMark;
  readonly tag: string;
  readonly directory: string;
  readonly leaders: readonly ProcessMark[];
}

const openLabs = new Set<Lab>();
let labCount = 0;
let isCloserInstalled = false;

/** An interrupted run leaves nothing: signals become an exit, and an exit closes every open lab. */
function closeLabsOnExit(): void {
  if (isCloserInstalled) {
    return;
  }
  isCloserInstalled = true;
  process.on('exit', () => {
    for (const lab of [...openLabs]) {
      lab.close();
    }
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
}

function readRecords(): LabRecord[] {
  let names: string[];
  try {
    names = readdirSync(RECORDS).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    try {
      return [JSON.parse(readFileSync(join(RECORDS, name), 'utf8')) as LabRecord];
    } catch {
      // Another run has just removed it.
      return [];
    }
  });
}

function recordPath(tag: string): string {
  return join(RECORDS, `${tag}.json`);
}

/** The folder goes with its last record. */
function removeRecord(tag: string): void {
  rmSync(recordPath(tag), { force: true });
  try {
    rmdirSync(RECORDS);
  } catch {
    // Another lab stands.
  }
}
