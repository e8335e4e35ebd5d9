/**
 * Loads a configuration: files → trees → one merged tree → typed values. Called by `run`, `check` and by a reload.
 * Nothing throws for operator input and nothing is logged: all problems come back at once, and there is a configuration
 * only if none of them is an error.
 */
import { buildConfig } from './build.ts';
import { checkTogether } from './checks.ts';
import type { Config } from './config.ts';
import { readSources, type SourceFile } from './files.ts';
import { modernize } from './legacy.ts';
import { mergeMaps } from './merge.ts';
import { lookup, type Plain } from './plain.ts';
import { hasErrors, type PathStep, type Place, type Problem, sortProblems } from './problems.ts';
import { plainTree, readTree } from './readTree.ts';
import { nodeAt } from './spot.ts';
import { unknownKeyWarnings } from './unknownKeys.ts';
import { unsupportedWarnings } from './unsupported.ts';
import { type MapNode, parseYaml } from './yamlTree.ts';

export interface LoadedConfig {
  /** Null if and only if a problem is an error. */
  readonly config: Config | null;
  /** Errors first, then warnings. */
  readonly problems: readonly Problem[];
  /** The files that were read, in the order in which they were merged. */
  readonly files: readonly string[];
  /** Where a key stands (`['firewall', 'inbound', 0]`), or the nearest thing above it: for checks made elsewhere. */
  readonly locate: (steps: readonly PathStep[]) => Place;
  /** What stands under a key, merged and unparsed: for another node, which reads it itself. */
  readonly written: (path: string) => Plain | undefined;
}

/** Loads a file, or the `.yaml` and `.yml` files below a directory. */
export function loadConfig(path: string): LoadedConfig {
  const { sources, problems } = readSources(path);
  if (problems.length > 0) {
    const files = sources.map((source) => source.file);
    return { config: null, problems, files, locate: () => ({ file: path, line: 0 }), written: nothing };
  }
  return parseConfig(sources, path);
}

/** The same for texts in memory; `name` stands for the whole in messages. */
export function parseConfig(sources: readonly SourceFile[], name: string): LoadedConfig {
  const files = sources.map((source) => source.file);
  const problems: Problem[] = [];
  const maps: MapNode[] = [];
  for (const source of sources) {
    const parsed = parseYaml(source.file, source.text);
    problems.push(...parsed.problems);
    if (parsed.root !== null) {
      maps.push(parsed.root);
    }
  }
  const whole = { file: name, line: 0 };
  if (hasErrors(problems)) {
    // Half of the files would only give faults that are none.
    return { config: null, problems: sortProblems(problems), files, locate: () => whole, written: nothing };
  }
  const merged = mergeMaps(maps, whole);
  const { root, problems: oldForms } = modernize(merged.root);
  const plain = plainTree(root);
  const { values, problems: faults } = readTree(root, plain);
  const built = buildConfig(values);
  problems.push(...merged.problems, ...oldForms, ...faults);
  problems.push(...unknownKeyWarnings(root), ...unsupportedWarnings(root, plain));
  problems.push(...checkTogether(built, root, values));
  return {
    config: hasErrors(problems) ? null : built.config,
    problems: sortProblems(problems),
    files,
    locate: (steps) => nodeAt(root, steps).node.place,
    written: (key) => lookup(plain, key),
  };
}

const nothing = (): undefined => undefined;
