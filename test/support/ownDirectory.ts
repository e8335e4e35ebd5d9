/** A temporary directory of a test file, and how to remove it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function ownDirectory(prefix: string): [path: string, remove: () => void] {
  const path = mkdtempSync(join(tmpdir(), prefix));
  return [path, () => rmSync(path, { recursive: true, force: true })];
}
