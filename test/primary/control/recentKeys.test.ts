import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RecentKeys } from '../../../src/primary/control/recentKeys.ts';

describe('recent keys', () => {
  const never = Number.NEGATIVE_INFINITY;
  const untils = (keys: RecentKeys, ...names: readonly string[]): number[] => names.map((name) => keys.untilMs(name));

  it('count for their time after the last note', () => {
    const keys = new RecentKeys(100, 8);
    keys.note(0, 'a');
    keys.note(50, 'a');
    expect(untils(keys, 'a', 'b')).to.deep.equal([150, never]);
    keys.forget('a');
    expect(untils(keys, 'a')).to.deep.equal([never]);
  });

  it('go when a later one is noted after their time, not before', () => {
    const keys = new RecentKeys(100, 8);
    keys.note(0, 'a');
    keys.note(1, 'b');
    keys.note(101, 'c');
    expect(untils(keys, 'a', 'b', 'c')).to.deep.equal([never, 101, 201]);
  });

  it('beyond their number give way, the one noted longest ago first', () => {
    const keys = new RecentKeys(100, 2);
    keys.note(0, 'a');
    keys.note(1, 'b');
    keys.note(2, 'a');
    keys.note(3, 'c');
    expect(untils(keys, 'a', 'b', 'c')).to.deep.equal([102, never, 103]);
  });
});
