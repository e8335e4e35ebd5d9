/**
 * A network namespace for one group of tests: the process moves into a fresh one and back.
 *
 * The namespace has no name, so nothing can be left behind: it ends with the last process and descriptor in it.
 * Commands started meanwhile run inside. Only the main thread moves; everything here is synchronous and so is what the
 * tests do in between.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { after, before } from 'mocha';

const libc = koffi.load(null);
const unshare = libc.func('unshare', 'int', ['int']);
const setns = libc.func('setns', 'int', ['int', 'int']);
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

/** Runs a command in the current namespace and returns its output. */
export function run(command: string): string {
  const [program, ...parameters] = command.split(' ');
  return execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function enterNamespace(): () => void {
  const home = openSync('/proc/self/ns/net', 'r');
  if (unshare(NewNetworkNamespace) !== 0) {
    throw new Error(`unshare failed with errno ${koffi.errno()}`);
  }
  return () => {
    if (setns(home, NewNetworkNamespace) !== 0) {
      throw new Error(`setns failed with errno ${koffi.errno()}`);
    }
    closeSync(home);
  };
}
