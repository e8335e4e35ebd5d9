import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ProgramState } from '../../../src/primary/machine/programFiles.ts';
import { ProgramWatch } from '../../../src/primary/workers/programWatch.ts';
import { CollectingLog } from '../../support/collectingLog.ts';

describe('the watch over the program', () => {
  it('tells each change once, and that a replaced one stays replaced', () => {
    const log = new CollectingLog();
    let state: ProgramState = 'same';
    let nowMs = 0;
    const watch = new ProgramWatch(
      () => ({ state, path: '/x' }),
      log,
      () => nowMs,
    );
    expect(watch.obstacle()).to.equal(null);
    expect(watch.health).to.deep.equal([]);
    state = 'gone';
    for (nowMs = 0; nowMs < 100_000; nowMs += 10_000) {
      expect(watch.obstacle()).to.deep.include({ isFinal: false });
    }
    expect(watch.health).to.have.length(1);
    state = 'other';
    expect(watch.obstacle()).to.deep.include({ isFinal: false });
    nowMs += 5_000;
    expect(watch.obstacle()).to.deep.include({ isFinal: true });
    state = 'same';
    expect(watch.obstacle()).to.equal(null);
    expect(watch.health).to.deep.equal([]);
    expect(log.texts.map((text) => text.split(',')[0])).to.deep.equal([
      'error The files of this program are gone',
      'error Another weft was installed over this one',
      'info The files of this program are back',
    ]);
  });
});
