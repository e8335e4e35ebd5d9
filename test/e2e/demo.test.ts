/** `weft demo`, the first thing a newcomer runs: it works, it cleans up when interrupted, and it says what it lacks. */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { namespaceNames } from '../../src/primary/cli/demo/namespaces.ts';
import { groupMembers } from '../../src/primary/cli/demo/processTable.ts';
import { Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { WEFT_MAIN } from '../support/nodes.ts';

const DEMO = [process.execPath, WEFT_MAIN, 'demo'];

describe('weft demo', function () {
  this.timeout(60_000);
  before(function () {
    requireLab(this, 'setpriv');
  });

  it('shows two nodes that ping each other and move data, then leaves nothing', async () => {
    const program = new Program('weft demo', DEMO);
    const status = await program.exited;
    expect(status, program.lines.join('\n')).to.deep.equal({ code: 0, signal: null });
    expect(program.stdout).to.match(/ada probes ben .* 5 of 5 answered/);
    expect(program.stdout).to.match(/ben probes ada .* 5 of 5 answered/);
    const rates = [...program.stdout.matchAll(/(\d+) Mbit\/s/g)].map((match) => Number(match[1]));
    expect(rates).to.have.length(2);
    expect(Math.min(...rates)).to.be.greaterThan(10);
    expectNothingLeft(program);
  });

  for (const moment of [/signs a name/, /is up as/, /probes ben/]) {
    it(`leaves nothing when it is interrupted after ${moment}`, async () => {
      const program = new Program('weft demo', DEMO);
      await program.waitForLine(moment, 30_000);
      expect(demoNamespaces(program)).to.have.length(2);
      program.signal('SIGINT');
      expect((await program.exited).code).to.equal(130);
      await until('every process of the demo to end', () => groupMembers(program.mark).length === 0);
      expectNothingLeft(program);
    });
  }

  it('says in one sentence that it needs root, and exits with 1', async () => {
    const program = new Program('weft demo', ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--', ...DEMO]);
    expect((await program.exited).code).to.equal(1);
    expect(program.stdout).to.equal('');
    expect(program.lines.join('\n')).to.match(/root|cannot be made/);
    expect(program.lines.join('\n')).not.to.match(/^\s+at /m);
    expectNothingLeft(program);
  });
});

function demoNamespaces(program: Program): string[] {
  return namespaceNames().filter((name) => name.startsWith(`weft-demo${program.pid}-`));
}

function expectNothingLeft(program: Program): void {
  expect(demoNamespaces(program)).to.deep.equal([]);
  expect(groupMembers(program.mark)).to.deep.equal([]);
}
