/** Short ways to load configurations in tests. */
import type { Config } from '../../../src/primary/config/config.ts';
import { type LoadedConfig, parseConfig } from '../../../src/primary/config/loader.ts';
import { formatProblem, type Problem } from '../../../src/primary/config/problems.ts';

/** The required keys, and what keeps warnings away but for that about rules; on lines 1 to 6 of a text that starts with it. */
export const BASE = `pki: {ca: ca.crt, cert: host.crt, key: host.key}
static_host_map:
  "10.0.0.1": ["192.0.2.1:4242"]
lighthouse:
  hosts: ["10.0.0.1"]
`;

export function load(text: string, file: string = 'a.yml'): LoadedConfig {
  return parseConfig([{ file, text }], file);
}

/** The problems of a text as lines, but for the one that a text without rules has. */
export function problemsOf(text: string): readonly string[] {
  return linesOf(load(text).problems);
}

/** The same of problems. */
export function linesOf(problems: readonly Problem[]): readonly string[] {
  return problems.map(formatProblem).filter((line) => !line.endsWith(NO_RULES));
}

const NO_RULES = 'so every packet is dropped in both directions';

/** The configuration of BASE and more; throws when it has errors. */
export function configOf(more: string = ''): Config {
  const loaded = load(BASE + more);
  if (loaded.config === null) {
    throw new Error(loaded.problems.map(formatProblem).join('\n'));
  }
  return loaded.config;
}

/** The problems of BASE and more, without the file name. */
export function complaints(more: string): readonly string[] {
  return problemsOf(BASE + more).map((line) => line.replace(/^a\.yml:/, ''));
}
