/** Visits to the empty namespaces: only what is forked there stays there, and nobody is ever stuck in them. */
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { EmptyNamespaces } from '../../src/primary/machine/emptyNamespaces.ts';
import { useNamespace } from '../support/namespace.ts';

const MODULE = new URL('../../src/primary/machine/emptyNamespaces.js', import.meta.url).href;
const here = (kind: string): string => readlinkSync(`/proc/thread-self/ns/${kind}`);
const KINDS = ['net', 'ipc'];

describe('empty namespaces (root)', () => {
  useNamespace('making namespaces');

  it('hold what is started in a visit, and the visitor is back at once', () => {
    const home = KINDS.map(here);
    const namespaces = new EmptyNamespaces();
    expect(KINDS.map(here)).to.deep.equal(home);
    const seen = namespaces.visit(() =>
      spawnSync(
        'readlink',
        KINDS.map((kind) => `/proc/self/ns/${kind}`),
      ),
    );
    expect(KINDS.map(here)).to.deep.equal(home);
    const inside = seen.stdout.toString().trim().split('\n');
    expect(inside).to.have.length(KINDS.length);
    for (const [index, namespace] of inside.entries()) {
      expect(namespace).to.not.equal(home[index]);
    }
    const again = namespaces.visit(() => KINDS.map(here));
    expect(again, 'every child is in the same ones').to.deep.equal(inside);
    namespaces.close();
  });

  it('are left by an exception as well', () => {
    const home = KINDS.map(here);
    const namespaces = new EmptyNamespaces();
    const failing = (): never => {
      throw new Error('spawn EAGAIN');
    };
    expect(() => namespaces.visit(failing)).to.throw('spawn EAGAIN');
    expect(KINDS.map(here)).to.deep.equal(home);
    namespaces.close();
  });

  it('end a process that could not leave them', () => {
    const program = `
      import { closeSync } from 'node:fs';
      const { EmptyNamespaces } = await import(${JSON.stringify(MODULE)});
      const namespaces = new EmptyNamespaces();
      namespaces.visit(() => namespaces.close());
      process.exit(0);
    `;
    const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect(stderr).to.match(/^weft ends, it cannot leave the network namespace of its workers: .*EBADF/m);
    expect(signal).to.equal('SIGABRT');
  });
});
