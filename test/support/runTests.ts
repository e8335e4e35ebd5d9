/**
 * Runs every test of this build, cheap layers first, and keeps the counts in the file named by its first argument up to
 * date, so that scripts/test.mjs can tell what had passed even when this process dies. Further arguments name the folders
 * of test/ to run; without one all run.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import Mocha from 'mocha';

/** Folders of test/ in the order they run; any other folder runs between these and the slow ones. */
const FIRST = ['repo', 'shared', 'worker', 'primary', 'sim', 'fuzz'];
const LAST = ['process', 'e2e', 'interop', 'adversary'];
const LINGER_MS = 5_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const [summaryPath, ...folders] = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };

const mocha = new Mocha({ reporter: 'spec', timeout: 10_000, color: process.stdout.isTTY === true, forbidOnly: true });
for (const file of testFiles()) {
  mocha.addFile(file);
}
await mocha.loadFilesAsync();
const runner = mocha.run((failures) => {
  process.exitCode = failures === 0 ? 0 : 1;
  // Fires only when something still keeps this process alive.
  setTimeout(() => {
    console.log(`something outlives the tests: ${process.getActiveResourcesInfo().join(', ')}`);
    process.exit();
  }, LINGER_MS).unref();
});
runner.on('pass', () => count('passed'));
runner.on('fail', () => count('failed'));
runner.on('pending', () => count('skipped'));
runner.on('start', () => count(null));

function count(kind: keyof typeof counts | null): void {
  if (kind !== null) {
    counts[kind]++;
  }
  if (summaryPath !== undefined) {
    writeFileSync(summaryPath, JSON.stringify(counts));
  }
}

function testFiles(): string[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.test.js') && (folders.length === 0 || folders.includes(name.split(sep)[0])),
  );
  files.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return files.map((name) => join(root, name));
}

function rank(file: string): number {
  const folder = file.split(sep)[0];
  const late = LAST.indexOf(folder);
  const early = FIRST.indexOf(folder);
  return late >= 0 ? 100 + late : early >= 0 ? early : 50;
}
