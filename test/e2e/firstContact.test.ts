/** README's first command, as a newcomer runs it: a checkout, a machine with Node and nothing else, root. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Program } from '../../src/primary/cli/demo/program.ts';
import { requireLab } from '../support/environment.ts';
import { repositoryRoot } from '../support/sourceTree.ts';
import { makeBarePath } from './bareDebian.ts';
import { checkoutInto } from './workingTree.ts';

describe('first contact', function () {
  this.timeout(180_000);
  let folder = '';

  before(function () {
    requireLab(this, 'dpkg-query', 'git');
    folder = mkdtempSync(join(tmpdir(), 'weft-first-'));
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it("README's first command works where only Node and Debian's essential packages are", async () => {
    const path = join(folder, 'bin');
    const commands = makeBarePath(path);
    expect(commands).to.include.members(['node', 'npm', 'sh', 'cat', 'apt-get']);
    expect(commands).not.to.include.oneOf(['ip', 'ping', 'iperf3', 'nebula', 'nft']);
    const checkout = join(folder, 'weft');
    checkoutInto(checkout);
    const before = traces();
    const program = new Program('first command', ['/bin/sh', '-c', firstCommand()], {
      directory: checkout,
      env: { ...process.env, PATH: path },
    });
    const status = await program.exited;
    const told = program.lines.join('\n');
    expect(status, told).to.deep.equal({ code: 0, signal: null });
    expect(told).to.match(/ada probes ben .* 5 of 5 answered/);
    expect(told).to.match(/nothing is left/);
    expect(traces()).to.deep.equal(before);
  });
});

/** The first block of commands of the README. */
function firstCommand(): string {
  const block = /```sh\n([^`]*)```/.exec(readFileSync(join(repositoryRoot(), 'README.md'), 'utf8'));
  expect(block?.[1]).to.match(/npm run demo/);
  return block?.[1] ?? '';
}

/** What a demo could leave on the machine; labs of tests that run beside this one do not count. */
function traces(): readonly string[] {
  const kept = existsSync('/run/weft') ? readdirSync('/run/weft').map((name) => `/run/weft/${name}`) : [];
  return [...['/dev/net/tun', '/run/weft'].filter((path) => existsSync(path)), ...kept];
}
