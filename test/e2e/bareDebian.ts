/**
 * The commands of a Debian that has only its essential packages, Node and npm: a folder of links to stand as PATH. What
 * this machine has beyond that (iproute2, ping, nebula …) is then not found, as on a fresh machine.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const COMMAND_FOLDERS: readonly string[] = ['/bin', '/sbin', '/usr/bin', '/usr/sbin'];

/** Fills `folder`, which must not exist, and returns the names of the commands in it. */
export function makeBarePath(folder: string): readonly string[] {
  mkdirSync(folder);
  const names = new Set<string>();
  const add = (path: string): void => {
    const name = basename(path);
    if (!names.has(name) && existsSync(path)) {
      names.add(name);
      symlinkSync(path, join(folder, name));
    }
  };
  for (const name of ['node', 'npm', 'npx']) {
    add(join(dirname(process.execPath), name));
  }
  for (const path of essentialFiles()) {
    if (COMMAND_FOLDERS.includes(dirname(path))) {
      add(path);
    }
  }
  // Links that packages make when they are installed: `awk`, `sh`.
  add('/usr/bin/awk');
  add('/bin/sh');
  return [...names];
}

/** Files of the packages that debootstrap's `minbase` has: those of priority `required`, and apt. */
function essentialFiles(): string[] {
  const fields = ['Package', 'Priority', 'Essential'].map((name) => `\${${name}}`);
  const packages = execFileSync('dpkg-query', ['-W', `-f=${fields.join(':')}\\n`], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name, priority, essential]) => name === 'apt' || priority === 'required' || essential === 'yes')
    .map(([name]) => name);
  return execFileSync('dpkg-query', ['-L', ...packages], { encoding: 'utf8', maxBuffer: 64 << 20 }).split('\n');
}
