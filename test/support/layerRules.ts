/**
 * The rules of the folders (docs/architecture.md): who may import whom, who may touch the machine.
 *
 *   primary ↮ worker ↮ dns  the kinds of process share code only through shared
 *   shared → neither
 *   koffi                   only in shared/sys, for the tests too
 *   pure folders            no clock, randomness, logger, timer, process or descriptor; those come in as arguments
 *
 * A rule is a function from files to sentences, so that the tests can also show it a tree that breaks it.
 */
import { dirname, join, normalize } from 'node:path';
import { blankCommentsAndStrings, importsOf, type SourceFile } from './sourceTree.ts';

const PURE_FOLDERS: readonly string[] = [
  'src/primary/control/',
  'src/worker/datapath/',
  'src/shared/bytes/',
  'src/shared/ip/',
  'src/shared/wire/',
  'src/shared/noise/',
  'src/shared/ipc/',
  'src/shared/memory/',
];

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

/** Every violation as one sentence that names file and import; empty when there is none. */
export function layerViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [...importViolations(file), ...purityViolations(file)]);
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
  const target = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier;
  const [from, to] = [layerOf(path), layerOf(target)];
  if (from !== null && to !== null && from !== to && to !== 'shared') {
    return `src/${from} may not import src/${to}`;
  }
  if (!isPure(path) || isTypeOnly) {
    return null;
  }
  if (target.startsWith('src/')) {
    return target.startsWith('src/shared/sys/') ? 'a pure folder may import only types of src/shared/sys' : null;
  }
  return PURE_MODULES.includes(specifier) || specifier.startsWith('@noble/')
    ? null
    : 'a pure folder touches no clock, randomness, logger or descriptor';
}

function purityViolations(file: SourceFile): string[] {
  if (!isPure(file.path)) {
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

function isPure(path: string): boolean {
  return PURE_FOLDERS.some((folder) => path.startsWith(folder));
}

function layerOf(path: string): string | null {
  return /^src\/(primary|worker|dns|shared)\//.exec(path)?.[1] ?? null;
}
