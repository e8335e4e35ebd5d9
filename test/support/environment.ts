/**
 * What the machine must offer before an end-to-end test can run, looked at once per test run.
 *
 * Without root, or on a system that is not Debian, a missing tool skips the test and the closing line counts it as
 * skipped. On Debian as root nothing may be missing: scripts/debian-packages.sh has installed it, so a gap is a failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { labObstacle, sweepLabs } from '../../src/primary/cli/demo/lab.ts';

interface Skippable {
  skip(): never;
}

let obstacle: string | null | undefined;

/** Called from a `before` hook: skips its suite when namespaces, the tun device or one of `tools` is not to be had. */
export function requireLab(suite: Skippable, ...tools: readonly string[]): void {
  if (obstacle === undefined) {
    obstacle = labObstacle();
    if (obstacle === null) {
      sweepLabs();
    }
  }
  demand(suite, obstacle, tools);
}

/** The same for a suite that needs nothing but `tools`. */
export function requireTools(suite: Skippable, ...tools: readonly string[]): void {
  demand(suite, null, tools);
}

function demand(suite: Skippable, hindrance: string | null, tools: readonly string[]): void {
  const missing = tools.filter((tool) => !isInstalled(tool));
  if (hindrance === null && missing.length === 0) {
    return;
  }
  const reason = hindrance ?? `not installed: ${missing.join(', ')}`;
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    throw new Error(`this test cannot run: ${reason}`);
  }
  console.log(`      skipped: ${reason}`);
  suite.skip();
}

function isInstalled(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
}
