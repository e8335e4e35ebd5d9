/**
 * A node whose own files are taken away under it: it says so, carries packets with the workers that it has, does not try
 * again and again, and is whole when they are back. One whose files are another version's ends, for its service manager to
 * start that.
 */
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { WEFT_MAIN } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { cpuSeconds } from '../support/procfs.ts';
import { repositoryRoot } from '../support/sourceTree.ts';
import { untilReachable } from '../support/traffic.ts';

describe('a node whose files are taken away', function () {
  this.timeout(120_000);
  let pair: Pair;
  let home = '';

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping');
    pair = new Pair({ left: { routines: 2 } });
    home = join(pair.lab.directory, 'weft');
    mkdirSync(home);
    cpSync(join(WEFT_MAIN, '../..'), join(home, 'dist'), { recursive: true });
    cpSync(join(repositoryRoot(), 'package.json'), join(home, 'package.json'));
    symlinkSync(join(repositoryRoot(), 'node_modules'), join(home, 'node_modules'));
    await pair.right.start();
    await pair.left.start({ command: [process.execPath, join(home, 'dist/primary/main.js'), 'run'] });
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
  });
  after(() => pair?.close());

  it('says so when a worker ends, goes on with the others, and has it again when they are back', async () => {
    const { left, lab } = pair;
    const told = (): number => left.lines.filter((line) => line.includes('The files of this program are gone')).length;
    renameSync(join(home, 'dist'), join(home, 'away'));
    const [first, second] = left.workerPids();
    process.kill(first, 'SIGKILL');
    await until('the line', () => told() === 1);
    const mark = left.lines.length;
    const before = cpuSeconds([left.program.pid]);
    await delay(8_000);
    const used = cpuSeconds([left.program.pid]);
    expect(used.user + used.system - before.user - before.system, 'CPU seconds').to.be.lessThan(1);
    expect(left.workerPids(), 'workers').to.deep.equal([second]);
    expect(left.lines.slice(mark).filter((line) => /files of this program|Worker/.test(line))).to.deep.equal([]);
    const status = await lab.run(pair.left.namespace, [
      process.execPath,
      WEFT_MAIN,
      'status',
      '-socket',
      left.socketPath,
    ]);
    expect(status.stdout)
      .to.match(/degraded/)
      .and.to.match(/program: The files of this program are gone/);

    renameSync(join(home, 'away'), join(home, 'dist'));
    await left.program.waitForLine(/The files of this program are back/, 20_000, mark);
    await until('both workers', () => left.workerPids().length === 2);
    await untilReachable(lab, pair.right.namespace, LEFT);
  });

  it('ends when a worker ends and another version lies there', async () => {
    const { left } = pair;
    const manifest = join(home, 'package.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"version": "[^"]*"/, '"version": "99.0.0"'));
    process.kill(left.workerPids()[0], 'SIGKILL');
    expect(await left.program.exited).to.deep.equal({ code: 1, signal: null });
    expect(left.lines.at(-1)).to.match(
      /^weft cannot go on: .*Another weft was installed over this one.*restart this node$/,
    );
    expect(await left.hasDevice()).to.equal(false);
  });
});
