/** The version of this program, read from its package.json: once, on demand. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Io } from './cli/usage.ts';

/** `weft version`. */
export function versionCommand(io: Io): number {
  io.stdout.write(`weft ${weftVersion()} (node ${process.versions.node}, ${process.platform} ${process.arch})\n`);
  return 0;
}

/** The version without anything around it: `0.1.0`. */
export function weftVersion(): string {
  known ??= readVersion(dirname(fileURLToPath(import.meta.url)));
  return known;
}

let known: string | null = null;

/** Walks up to the package's root: compiled files lie at different depths in a package and in a test build. */
function readVersion(directory: string): string {
  let text: string;
  try {
    text = readFileSync(join(directory, 'package.json'), 'utf8');
  } catch {
    const parent = dirname(directory);
    return parent === directory ? 'unknown' : readVersion(parent);
  }
  const manifest: unknown = JSON.parse(text);
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : null;
  return typeof version === 'string' ? version : 'unknown';
}
