/**
 * The rules of the folders: which may use which, which may touch the machine, what may lie in `shared`.
 *
 *   LAYERS       from the bottom up: a folder uses only what its line names, and only lines above its own can be named
 *   circles      no file reaches itself by imports, not even by those of types
 *   shared       holds only what two of the three kinds of process use
 *   koffi        only in shared/sys, for the tests too
 *   pure folders no clock, randomness, logger, timer, process or descriptor; those come in as arguments
 *
 * docs/architecture.md quotes the table. A rule is a function from files to sentences, so that the tests can also show it
 * a tree that breaks it.
 */
import { dirname, join, normalize } from 'node:path';
import { blankCommentsAndStrings, importsOf, type SourceFile } from '../support/sourceTree.ts';

export interface Layer {
  /** With everything below it that has no line of its own. */
  readonly folder: string;
  readonly holds: string;
  /** Folders with all that is below them, or single files. Its own folder a layer may use anyway. */
  readonly uses: readonly string[];
  readonly isPure: boolean;
}

/** What every entry of the primary runs in. */
const BOUNDARY = 'src/primary/boundary.ts';
/** What every part of the control core speaks in. */
const CORE_WORDS = ['effects', 'now', 'recentKeys', 'timers'].map((name) => `src/primary/control/${name}.ts`);
/** How a worker's parts reach the primary. */
const PUNTS = 'src/worker/punts.ts';
/** What a worker keeps of each tunnel. */
const WORKER_TUNNEL = 'src/worker/workerTunnel.ts';

export const LAYERS: readonly Layer[] = [
  layer('src/shared/ip', 'addresses, prefixes, packets', [], true),
  layer('src/shared/log', 'lines of log', []),
  layer('src/shared/wire', 'formats of messages', ['src/shared/ip'], true),
  layer('src/shared/sys', 'libc, mappings, tun queues, privileges; the only importer of koffi', [
    ...['src/shared/ip', 'src/shared/log'],
  ]),
  layer('src/shared/crypto', 'ciphers and their providers, key agreement, signatures', [
    ...['src/shared/log', 'src/shared/sys', 'src/shared/wire'],
  ]),
  layer('src/shared/cert', 'certificates', ['src/shared/crypto', 'src/shared/ip', 'src/shared/wire']),
  layer('src/shared/firewall', 'identities, rules, verdicts', ['src/shared/cert', 'src/shared/ip'], true),
  layer(
    'src/shared/memory',
    'the tables in shared memory',
    ['src/shared/firewall', 'src/shared/ip', 'src/shared/wire'],
    true,
  ),
  layer(
    'src/shared/ipc',
    'what processes say to each other',
    ['src/shared/firewall', 'src/shared/ip', 'src/shared/log', 'src/shared/sys'],
    true,
  ),
  layer('src/shared/tunnel', 'seal and open', [
    ...['src/shared/crypto', 'src/shared/ip', 'src/shared/memory', 'src/shared/sys', 'src/shared/wire'],
  ]),
  layer('src/worker/ports', 'batched system calls', ['src/shared']),
  layer('src/worker/offload', 'super-packets: cutting and joining', ['src/shared', 'src/worker/ports']),
  layer(
    'src/worker/datapath',
    'the path of packets',
    ['src/shared', 'src/worker/ports', 'src/worker/offload', PUNTS, WORKER_TUNNEL, 'src/worker/quotas.ts'],
    true,
  ),
  layer('src/worker/lighthouse', 'answers of a lighthouse', [
    'src/shared',
    'src/worker/datapath',
    PUNTS,
    WORKER_TUNNEL,
  ]),
  layer('src/worker', 'the process: entry, composition, loop', ['src/shared', 'src/worker']),
  layer('src/dns', 'the DNS process of a lighthouse', [
    ...['src/shared/ip', 'src/shared/ipc', 'src/shared/log', 'src/shared/memory', 'src/shared/sys'],
  ]),
  layer('src/primary/config', 'configuration: reading, checking, comparing', ['src/shared']),
  layer('src/primary/pki', 'keys, certificate files, authorities', ['src/shared', BOUNDARY, 'src/primary/config']),
  layer('src/primary/control/noise', 'the exchange of keys', ['src/shared'], true),
  layer(
    'src/primary/control/discovery',
    'where peers are, and who is asked for that',
    ['src/shared', ...CORE_WORDS, 'src/primary/config'],
    true,
  ),
  layer(
    'src/primary/control/tunnels',
    'handshakes and the life of tunnels',
    [
      ...['src/shared', ...CORE_WORDS, 'src/primary/control/invariant.ts', 'src/primary/pki'],
      ...['src/primary/control/noise', 'src/primary/control/discovery'],
    ],
    true,
  ),
  layer(
    'src/primary/control',
    'the control core: its door and its words',
    ['src/shared', 'src/primary/config', 'src/primary/pki', 'src/primary/control'],
    true,
  ),
  layer('src/primary/machine', 'netlink, sockets, device, clocks of this machine', [
    ...['src/shared', BOUNDARY, 'src/primary/version.ts', 'src/primary/config', 'src/primary/pki'],
    'src/primary/control',
  ]),
  layer('src/primary/measures', 'what is measured: durations, the traffic of tunnels', ['src/shared']),
  layer('src/primary/tables', 'what the primary writes in shared memory, and tends there', [
    ...['src/shared', BOUNDARY, 'src/primary/control', 'src/primary/measures'],
  ]),
  layer('src/primary/workers', 'supervision', ['src/shared', BOUNDARY, 'src/primary/machine']),
  layer('src/primary/lighthouse', 'a lighthouse: hosts, names, the DNS process', [
    ...['src/shared', BOUNDARY, 'src/primary/config', 'src/primary/pki', 'src/primary/control'],
    ...['src/primary/machine', 'src/primary/workers'],
  ]),
  layer('src/primary/inspection', 'what a node says of itself', [
    ...['src/shared', 'src/primary/config', 'src/primary/pki', 'src/primary/control', 'src/primary/machine'],
    ...['src/primary/lighthouse', 'src/primary/measures', 'src/primary/settings.ts'],
  ]),
  layer('src/primary/stats', 'statistics for Prometheus and Graphite', [
    ...['src/shared', BOUNDARY, 'src/primary/config', 'src/primary/measures', 'src/primary/inspection'],
  ]),
  layer('src/primary/api', 'the socket for the command line', [
    ...['src/shared', BOUNDARY, 'src/primary/config', 'src/primary/inspection'],
  ]),
  layer('src/primary/cli', 'the commands', [
    ...['src/shared', 'src/primary/config', 'src/primary/pki', 'src/primary/machine', 'src/primary/inspection'],
    ...['src/primary/api', 'src/primary/node.ts', 'src/primary/validators.ts', 'src/primary/version.ts'],
  ]),
  layer('src/primary', 'the node: entry, composition, reload, the shell around the state machines', [
    ...['src/shared', 'src/primary'],
  ]),
];

/** In `shared` although one kind of process uses it, and why. */
export const SHARED_BY_ONE: ReadonlyMap<string, string> = new Map([
  ['src/shared/tunnel/open.ts', 'the one open, beside the one seal'],
  ['src/shared/crypto/providerProbe.ts', 'a program of its own, started by primary and workers'],
]);

/** What a pure folder may use of Node: functions from bytes to bytes and assertions. */
const PURE_MODULES: readonly string[] = ['node:crypto', 'node:assert', 'node:assert/strict', 'node:util'];

/** Clocks, timers, randomness, output, the process: by name, as they would stand in code. */
const IMPURE_WORDS: readonly RegExp[] = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bperformance\b/,
  /\bhrtime\b/,
  /\b(set|clear)(Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bMath\.random\b/,
  /\brandom(Bytes|Fill|FillSync|Int|UUID)\b/,
  /\bgetRandomValues\b/,
  /\bgenerateKeyPairSync\b/,
  /\bconsole\b/,
  // What the processor is like never changes.
  /\bprocess\.(?!arch\b)/,
];

/** Every violation that one file shows by itself, as one sentence that names file and import. */
export function layerViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [...importViolations(file), ...purityViolations(file)]);
}

/** Every group of files that reach each other. */
export function circles(files: readonly SourceFile[]): string[] {
  const targets = new Map(files.map((file) => [file.path, targetsOf(file)]));
  const reached = new Map(files.map(({ path }) => [path, reachableFrom([path], targets)]));
  const inCircle = files.map(({ path }) => path).filter((path) => reached.get(path)?.has(path));
  const groups = inCircle.map((path) =>
    inCircle.filter((other) => reached.get(path)?.has(other) && reached.get(other)?.has(path)).join(' ↔ '),
  );
  return [...new Set(groups)];
}

/** Files in `shared` that fewer than two kinds of process reach. */
export function usedByOne(files: readonly SourceFile[]): string[] {
  const targets = new Map(files.map((file) => [file.path, targetsOf(file)]));
  const kinds = ['primary', 'worker', 'dns'].map((kind) =>
    reachableFrom(
      files.map(({ path }) => path).filter((path) => path.startsWith(`src/${kind}/`)),
      targets,
    ),
  );
  return files
    .map(({ path }) => path)
    .filter((path) => path.startsWith('src/shared/') && kinds.filter((kind) => kind.has(path)).length < 2);
}

/** What the table allows and no file needs. */
export function unusedPermissions(files: readonly SourceFile[]): string[] {
  return LAYERS.flatMap((layer) => {
    const targets = files.filter(({ path }) => layerOf(path) === layer).flatMap(targetsOf);
    const unused = layer.uses.filter((used) => !targets.some((target) => covers(used, target)));
    return unused.map((used) => `${layer.folder} does not use ${used}`);
  });
}

/** The table of docs/architecture.md. */
export function layerTable(): string {
  const lines = LAYERS.map(({ folder, holds, uses, isPure }) => {
    const names = uses.map((used) => `\`${used.slice('src/'.length)}\``);
    return `| \`${folder.slice('src/'.length)}\` | ${holds} | ${isPure ? 'yes' : ''} | ${names.join(', ')} |`;
  });
  return ['| folder | holds | pure | uses |', '|---|---|---|---|', ...lines, ''].join('\n');
}

function layer(folder: string, holds: string, uses: readonly string[], isPure: boolean = false): Layer {
  return { folder, holds, uses, isPure };
}

function importViolations(file: SourceFile): string[] {
  return importsOf(file.text).flatMap(({ specifier, isTypeOnly }) => {
    const fault = importFault(file.path, specifier, isTypeOnly);
    return fault === null ? [] : [`${file.path} imports ${specifier}: ${fault}`];
  });
}

function importFault(path: string, specifier: string, isTypeOnly: boolean): string | null {
  if (specifier === 'koffi') {
    return path.startsWith('src/shared/sys/') ? null : 'only src/shared/sys may import koffi';
  }
  const own = layerOf(path);
  if (own === null) {
    return path.startsWith('src/') ? 'its folder is no layer' : null;
  }
  if (specifier.startsWith('.')) {
    const target = normalize(join(dirname(path), specifier));
    if (!mayUse(own, target)) {
      return `${own.folder} may not use ${layerOf(target)?.folder ?? dirname(target)}`;
    }
    const isSystem = own.isPure && !isTypeOnly && target.startsWith('src/shared/sys/');
    return isSystem ? 'a pure folder may import only types of src/shared/sys' : null;
  }
  const isAllowed = !own.isPure || isTypeOnly || PURE_MODULES.includes(specifier) || specifier.startsWith('@noble/');
  return isAllowed ? null : 'a pure folder touches no clock, randomness, logger or descriptor';
}

function mayUse(own: Layer, target: string): boolean {
  return layerOf(target) === own || own.uses.some((used) => covers(used, target));
}

function covers(used: string, target: string): boolean {
  return target === used || target.startsWith(`${used}/`);
}

function purityViolations(file: SourceFile): string[] {
  if (layerOf(file.path)?.isPure !== true) {
    return [];
  }
  const lines = blankCommentsAndStrings(file.text).split('\n');
  return lines.flatMap((line, index) =>
    IMPURE_WORDS.flatMap((word) => {
      const match = word.exec(line);
      return match === null ? [] : [`${file.path}:${index + 1} uses ${match[0]}: it has to come in as an argument`];
    }),
  );
}

/** The layer whose folder is nearest above the file. */
function layerOf(path: string): Layer | null {
  const above = LAYERS.filter(({ folder }) => path.startsWith(`${folder}/`));
  return above.sort((a, b) => b.folder.length - a.folder.length)[0] ?? null;
}

function targetsOf(file: SourceFile): string[] {
  return importsOf(file.text)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => normalize(join(dirname(file.path), specifier)));
}

/** Everything that the files of `starts` import, and what that imports. A start is in it when something leads back. */
function reachableFrom(starts: readonly string[], targets: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set<string>();
  const open = starts.flatMap((start) => targets.get(start) ?? []);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!reached.has(next)) {
      reached.add(next);
      open.push(...(targets.get(next) ?? []));
    }
  }
  return reached;
}
