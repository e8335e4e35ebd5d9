/** Short ways to load configurations in tests. */
import type { Config } from '../../../src/primary/config/config.ts';
import { type LoadedConfig, parseConfig } from '../../../src/primary/config/loader.ts';
import { formatProblem } from '../../../src/primary/config/problems.ts';

/** The required keys, and what keeps warnings away; on lines 1 to 6 of a text that starts with it. */
export const BASE = `pki: {ca: ca.crt, cert: host.crt, key: host.key}
static_host_map:
  "10.0.0.1": ["192.0.2.1:4242"]
lighthouse:
  hosts: ["10.0.0.1"]
`;

export function load(text: string, file: string = 'a.yml'): LoadedConfig {
  return parseConfig([{ file, text }], file);
}

/** The problems of a text as lines. */
export function problemsOf(text: string): readonly string[] {
  return load(text).problems.map(formatProblem);
}

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
