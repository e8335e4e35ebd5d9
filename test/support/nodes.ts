/**
 * A real node, ours or Debian's `nebula`, running in a namespace of a lab: configuration, start, readiness, restart, end.
 *
 * Both kinds read the same YAML keys (JSON is YAML), so a test names only what differs. Log lines are what both print in
 * the style of logrus or pino; `handshakes` counts the lines by which a node tells of a completed handshake.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab, Namespace } from '../../src/primary/cli/demo/lab.ts';
import type { ExitStatus, Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { NodeFiles } from './pki.ts';
import { childPids, commandOf } from './procfs.ts';

export type NodeKind = 'weft' | 'nebula';

export type ConfigTree = { readonly [key: string]: unknown };

export interface NodeOptions {
  readonly kind: NodeKind;
  readonly files: NodeFiles;
  /** Names the configuration file; the namespace's label when absent. */
  readonly label?: string;
  readonly port?: number;
  /** `[::]` for an IPv6 underlay. */
  readonly listenHost?: string;
  readonly routines?: number;
  readonly cipher?: 'aes' | 'chachapoly';
  readonly mtu?: number;
  /** Overlay address → endpoints. */
  readonly staticHosts?: { readonly [overlay: string]: readonly string[] };
  /** Merged over everything else, map by map. */
  readonly config?: ConfigTree;
  /** The program instead of the one that `kind` stands for. */
  readonly command?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export const OVERLAY_DEVICE = 'overlay0';
export const UNDERLAY_PORT = 4242;

/** Where the compiled `weft` of this build stands. */
export const WEFT_MAIN: string = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));

const READY = { weft: /weft is up/, nebula: /Nebula interface is active/ } as const;

export class TestNode {
  readonly name: string;
  readonly namespace: Namespace;
  readonly configPath: string;
  /** Of the local API, for a weft node. */
  readonly socketPath: string;
  readonly kind: NodeKind;
  #options: NodeOptions;
  readonly #lab: Lab;
  #program: Program | null = null;

  constructor(lab: Lab, namespace: Namespace, options: NodeOptions) {
    this.#lab = lab;
    this.#options = options;
    this.kind = options.kind;
    this.namespace = namespace;
    const label = options.label ?? namespace.label;
    this.name = `${options.kind} ${label}`;
    this.configPath = join(lab.directory, `${label}.yml`);
    this.socketPath = join(lab.directory, `${label}.sock`);
  }

  /** The running program; a node that was never started has none. */
  get program(): Program {
    if (this.#program === null) {
      throw new Error(`${this.name} was not started`);
    }
    return this.#program;
  }

  get lines(): readonly string[] {
    return this.program.lines;
  }

  /** How many handshakes the log tells of since line `from`. */
  handshakes(from: number = 0): number {
    return this.lines.slice(from).filter((line) => line.includes('Handshake message received')).length;
  }

  /** Process ids of the workers; empty for nebula, which has only one process. */
  workerPids(): number[] {
    return this.kind === 'weft' ? childPids(this.program.pid).filter((pid) => !isDnsProcess(pid)) : [];
  }

  /** Process id of a lighthouse's DNS process; 0 while there is none. */
  dnsPid(): number {
    return childPids(this.program.pid).find(isDnsProcess) ?? 0;
  }

  allPids(): number[] {
    return [this.program.pid, ...this.workerPids()];
  }

  /** Writes the configuration and starts the program, without waiting for anything. */
  launch(changes: Partial<NodeOptions> = {}): Program {
    this.#options = { ...this.#options, ...changes };
    this.writeConfig();
    this.#program = this.#lab.start(this.namespace, this.#command(), {
      title: this.name,
      ...(this.#options.env === undefined ? {} : { env: { ...process.env, ...this.#options.env } }),
    });
    return this.#program;
  }

  /** Starts the program and returns when it carries packets. */
  async start(changes: Partial<NodeOptions> = {}): Promise<void> {
    const program = this.launch(changes);
    await program.waitForLine(READY[this.kind]);
    await until(`device ${OVERLAY_DEVICE} of ${this.name}`, () => this.hasDevice());
  }

  async stop(): Promise<ExitStatus> {
    return await this.program.stop();
  }

  async restart(changes: Partial<NodeOptions> = {}): Promise<void> {
    await this.stop();
    await this.start(changes);
  }

  async hasDevice(): Promise<boolean> {
    return (await this.#lab.run(this.namespace, ['ip', 'link', 'show', 'dev', OVERLAY_DEVICE])).code === 0;
  }

  /** Replaces the configuration file; the program learns of it only by a signal or a restart. */
  writeConfig(changes: ConfigTree = {}): void {
    const tree = mergeTrees(this.#ownTree(), mergeTrees(configTree(this.#options), changes));
    writeFileSync(this.configPath, JSON.stringify(tree, null, 2));
  }

  /** Nodes in namespaces share /run: each has its local socket in the lab's own directory. */
  #ownTree(): ConfigTree {
    return this.kind === 'weft' ? { api: { socket: this.socketPath } } : {};
  }

  #command(): readonly string[] {
    if (this.#options.command !== undefined) {
      return [...this.#options.command, '-config', this.configPath];
    }
    return this.kind === 'nebula'
      ? ['nebula', '-config', this.configPath]
      : [process.execPath, WEFT_MAIN, 'run', '-config', this.configPath];
  }
}

function isDnsProcess(pid: number): boolean {
  return commandOf(pid).some((word) => word.endsWith('dns/main.js'));
}

function configTree(options: NodeOptions): ConfigTree {
  const any = [{ port: 'any', proto: 'any', host: 'any' }];
  const tree: ConfigTree = {
    pki: { ca: options.files.ca, cert: options.files.cert, key: options.files.key },
    static_host_map: options.staticHosts ?? {},
    lighthouse: { am_lighthouse: false, interval: 60, hosts: [] },
    listen: { host: options.listenHost ?? '0.0.0.0', port: options.port ?? UNDERLAY_PORT },
    punchy: { punch: true },
    cipher: options.cipher ?? 'aes',
    tun: { disabled: false, dev: OVERLAY_DEVICE, mtu: options.mtu ?? 1300 },
    logging: { level: 'info', format: 'text' },
    firewall: { outbound: any, inbound: any },
    ...(options.routines === undefined ? {} : { routines: options.routines }),
  };
  return mergeTrees(tree, options.config ?? {});
}

/** Maps are merged key by key; anything else of `over` replaces what `base` has; undefined removes the key. */
function mergeTrees(base: ConfigTree, over: ConfigTree): ConfigTree {
  const merged: { [key: string]: unknown } = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isTree(old) && isTree(value) ? mergeTrees(old, value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
