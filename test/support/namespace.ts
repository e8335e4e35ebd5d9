/**
 * A network namespace for one group of tests: the process moves into a fresh one and back.
 *
 * The namespace has no name, so nothing can be left behind: it ends with the last process and descriptor in it.
 * Commands started meanwhile run inside. Only the main thread moves; everything here is synchronous and so is what the
 * tests do in between.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { after, before } from 'mocha';
import { check } from '../../src/shared/sys/libc.ts';
import { loadLibrary } from '../../src/shared/sys/library.ts';

const { library } = loadLibrary({
  names: [null],
  functions: { unshare: ['int', ['int']], setns: ['int', ['int', 'int']] },
});
const NewNetworkNamespace = 0x40000000;

const isRoot: boolean = process.getuid?.() === 0;

/** Called in a `describe`: its tests run in a fresh namespace, or are skipped because `purpose` needs root. */
export function useNamespace(purpose: string): void {
  let leave = (): void => {};

  before(function () {
    if (!isRoot) {
      console.log(`      skipped: ${purpose} needs root`);
      this.skip();
    }
    leave = enterNamespace();
  });

  after(() => leave());
}

/** Moves this thread into the namespace that a descriptor of /proc/PID/ns/net or /run/netns stands for. */
export function joinNamespace(fd: number): void {
  check(library!.functions.setns(fd, NewNetworkNamespace), 'setns', 'entering a network namespace');
}

/** Runs a command in the current namespace and returns its output. */
export function run(command: string): string {
  const [program, ...parameters] = command.split(' ');
  return execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function enterNamespace(): () => void {
  const home = openSync('/proc/self/ns/net', 'r');
  check(library!.functions.unshare(NewNetworkNamespace), 'unshare', 'making a network namespace');
  return () => {
    joinNamespace(home);
    closeSync(home);
  };
}
