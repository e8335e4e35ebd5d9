import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { heapMebibytes, offerToOomKiller } from '../../../src/primary/workers/workerMemory.ts';
import { createLogger } from '../../../src/shared/log/logger.ts';
import { ownDirectory } from '../../support/ownDirectory.ts';

describe("the limit of a worker's heap", () => {
  it('grows with the tunnels that it may have, up to what the machine gives anyway', () => {
    expect(heapMebibytes(1)).to.be.within(200, 300);
    expect(heapMebibytes(8192)).to.be.greaterThan(heapMebibytes(1));
    expect(heapMebibytes(2 ** 30)).to.equal(heapMebibytes(2 ** 31));
  });
});

describe('the order in which processes go when memory runs out', () => {
  let proc: string;
  let remove: () => void;
  let lines: string[];
  beforeEach(() => {
    [proc, remove] = ownDirectory('weft-proc-');
    lines = [];
    for (const folder of ['self', '42']) {
      mkdirSync(join(proc, folder));
    }
  });
  afterEach(() => {
    remove();
  });

  function offer(pid: number): void {
    const write = (line: string): void => {
      lines.push(line);
    };
    offerToOomKiller(pid, createLogger({ level: 'debug', format: 'text', disableTimestamp: true, write }), proc);
  }

  for (const [own, expected] of [
    ['0\n', '500'],
    ['-1000\n', '-500'],
    ['900\n', '1000'],
  ]) {
    it(`has the worker before a primary with ${own.trim()}`, () => {
      writeFileSync(join(proc, 'self/oom_score_adj'), own);
      offer(42);
      expect(readFileSync(join(proc, '42/oom_score_adj'), 'latin1')).to.equal(expected);
      expect(lines).to.deep.equal([]);
    });
  }

  it('stays as it is, with a line for the debugger, where it cannot be set', () => {
    offer(42);
    offer(43);
    expect(lines).to.have.length(2);
    expect(lines[0]).to.match(/level=DEBUG .*oom_score_adj/);
  });
});
