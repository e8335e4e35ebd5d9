import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LimitedLog } from '../../src/primary/limitedLog.ts';
import { createLogger } from '../../src/shared/log/logger.ts';
import { HeldClock } from '../support/heldClock.ts';

function bench(): { log: LimitedLog; lines: Record<string, unknown>[]; clock: HeldClock } {
  const lines: Record<string, unknown>[] = [];
  const clock = new HeldClock();
  const root = createLogger({
    level: 'info',
    format: 'json',
    disableTimestamp: true,
    write: (line) => lines.push(JSON.parse(line)),
  });
  return { log: new LimitedLog(root, clock), lines, clock };
}

describe('limited log', () => {
  it('prints a burst, then one line a second that says how many were held back', () => {
    const { log, lines, clock } = bench();
    for (let n = 0; n < 2000; n++) {
      clock.advance(1);
      log.warn('flood', { n });
    }
    expect(lines).to.have.length(51);
    expect(lines[49]).to.deep.equal({ level: 'WARN', msg: 'flood', n: 49 });
    expect(lines[50].n).to.be.within(950, 1001);
    expect(lines[50].suppressed).to.equal(Number(lines[50].n) - 50);
  });

  it('tells once of the rest when the flood is over', () => {
    const { log, lines, clock } = bench();
    for (let n = 0; n < 1000; n++) {
      log.info('flood', { n });
    }
    clock.advance(60_000);
    expect(lines.slice(50)).to.deep.equal([{ level: 'INFO', msg: 'flood', suppressed: 950 }]);
    clock.advance(60_000);
    expect(lines).to.have.length(51);
  });

  it('holds every kind by itself, and neither counts nor remembers what its level hides', () => {
    const { log, lines, clock } = bench();
    for (let n = 0; n < 100; n++) {
      log.debug('hidden');
      log.info('flood');
    }
    log.error('other');
    expect(lines.map((line) => line.msg).filter((text) => text !== 'flood')).to.deep.equal(['other']);
    clock.advance(10_000);
    expect(lines.filter((line) => 'suppressed' in line)).to.have.length(1);
  });

  it('shares the limits with its children, and tells the rest when it is closed', () => {
    const { log, lines } = bench();
    const child = log.child({ part: 'dns' });
    for (let n = 0; n < 40; n++) {
      log.info('flood');
      child.info('flood');
    }
    expect(lines).to.have.length(50);
    expect(lines[1]).to.include({ part: 'dns' });
    log.close();
    expect(lines[50]).to.deep.equal({ level: 'INFO', msg: 'flood', suppressed: 30 });
  });
});
