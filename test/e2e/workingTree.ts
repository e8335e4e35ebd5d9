/** A copy of this working tree without what git ignores: what a clone of it would have. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/sourceTree.ts';

/** Copies every file that git tracks, as it stands now, into `folder`. */
export function checkoutInto(folder: string): void {
  const root = repositoryRoot();
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0');
  for (const file of files.filter((name) => name !== '' && existsSync(join(root, name)))) {
    cpSync(join(root, file), join(folder, file), { recursive: true });
  }
}
