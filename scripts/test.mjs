/**
 * `npm test`: installs what is missing, compiles, checks the style, runs every test, and closes with one line that stands
 * alone: `N passed, N failed`, with `, N skipped` when something was skipped. Compiling and the style check count as one
 * test each. The exit code is 0 only when nothing failed. Arguments name the folders of test/ to run; without one all run.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Far beyond what the tests take (15 minutes on 2 idle cores, the long form of the attacks more): only a run that hangs gets here. */
const LIMIT_MS = 60 * 60_000;
const GRACE_MS = 15_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'weft-npm-test-'));
const summaryPath = join(scratch, 'summary.json');
const counts = { passed: 0, failed: 0, skipped: 0 };
let current = null;
let isInterrupted = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isInterrupted = true;
    current?.kill('SIGTERM');
  });
}

await run('sh', ['scripts/debian-packages.sh']);
rmSync(join(root, 'build'), { recursive: true, force: true });
await check('the sources compile', 'tsc', ['-p', 'test/tsconfig.json']);
await check('biome has nothing to say', 'biome', ['ci', process.stdout.isTTY ? '--colors=force' : '--colors=off', '.']);
await runTests();
rmSync(scratch, { recursive: true, force: true });

const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);

async function check(title, tool, words) {
  const isGood = !isInterrupted && (await run(join(root, 'node_modules/.bin', tool), words)) === 0;
  counts[isGood ? 'passed' : 'failed']++;
  process.stdout.write(`  ${isGood ? '✔' : '✘'} ${title}\n`);
}

async function runTests() {
  const code = isInterrupted
    ? 1
    : await run(process.execPath, ['build/test/support/runTests.js', summaryPath, ...process.argv.slice(2)], LIMIT_MS);
  const told = readSummary();
  counts.passed += told.passed;
  counts.failed += told.failed;
  counts.skipped += told.skipped;
  if (code !== 0 && told.failed === 0) {
    process.stdout.write('  ✘ the test run did not come to its end\n');
    counts.failed++;
  }
}

/** The exit code, 1 for a signal; a run over `limitMs` is ended. */
function run(command, words, limitMs = LIMIT_MS) {
  return new Promise((resolve) => {
    const child = spawn(command, words, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    current = child;
    const timers = [
      setTimeout(() => child.kill('SIGTERM'), limitMs),
      setTimeout(() => child.kill('SIGKILL'), limitMs + GRACE_MS),
    ];
    const finish = (code) => {
      timers.forEach(clearTimeout);
      current = null;
      resolve(code ?? 1);
    };
    child.once('error', (error) => {
      process.stdout.write(`${command}: ${error.message}\n`);
      finish(1);
    });
    child.once('exit', finish);
  });
}

function readSummary() {
  try {
    return JSON.parse(readFileSync(summaryPath, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
