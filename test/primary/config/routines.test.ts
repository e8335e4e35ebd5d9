import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  isCacheTimeoutLong,
  resolveRoutineCacheTimeout,
  resolveRoutines,
} from '../../../src/primary/config/routines.ts';
import { complaints, configOf } from './support.ts';

const DEPRECATED = 'Setting tun.routines and listen.routines is deprecated. Use `routines` instead';

describe('routines', () => {
  for (const [routines, tun, listen, count, message] of [
    [null, null, null, 1, null],
    [1, null, null, 1, null],
    [4, null, null, 4, null],
    [4, 2, 8, 4, null],
    [-1, null, null, 1, null],
    [-7, 4, 4, 1, null],
    [0, null, null, 1, null],
    [0, 3, null, 3, DEPRECATED],
    [null, 4, 2, 4, DEPRECATED],
    [null, null, 2, 2, DEPRECATED],
    [null, 1, 1, 1, null],
    [null, 0, null, 1, null],
    [null, -2, 1, 1, null],
    [null, 0, 3, 3, DEPRECATED],
    [65536, null, null, 65536, null],
    [65537, null, null, 65536, 'Using multiple routines'],
  ] as const) {
    it(`routines ${routines}, tun.routines ${tun}, listen.routines ${listen} give ${count}`, () => {
      const result = resolveRoutines(routines, tun, listen);
      expect(result.count).to.equal(count);
      expect(result.warnings.map((warning) => warning.message)).to.deep.equal(message === null ? [] : [message]);
    });
  }

  it('carries the numbers of a warning as fields', () => {
    expect(resolveRoutines(null, 4, 2).warnings[0]).to.deep.include({ path: 'tun.routines', fields: { routines: 4 } });
    expect(resolveRoutines(1_000_000, null, null).warnings[0].fields).to.deep.equal({
      routines: 65536,
      clamped: true,
      requestedRoutines: 1_000_000,
    });
    expect(resolveRoutines(null, null, 70_000).warnings.map((warning) => warning.message)).to.deep.equal([
      DEPRECATED,
      'Using multiple routines',
    ]);
  });

  it('refuses the deprecated keys when no worker would run', () => {
    for (const [tun, listen] of [
      [0, 0],
      [-1, 0],
      [-3, -2],
    ]) {
      const { count, warnings } = resolveRoutines(null, tun, listen);
      expect(count).to.equal(1);
      expect(warnings[0].message).to.include('no worker would run');
    }
    expect(complaints('tun: {routines: 0}\nlisten: {routines: 0}\n')).to.deep.equal([
      '6: warning: tun.routines: no worker would run: both deprecated keys are below 1; one is started. Use `routines` instead',
    ]);
  });

  for (const [text, found] of [
    ['four', '"four"'],
    ['2.5', '"2.5"'],
    ['1e3', '"1e3"'],
    ['99999999999999999999', '"99999999999999999999"'],
    ['true', '"true"'],
    ['[2]', 'a list'],
    ['{a: 1}', 'a map'],
  ]) {
    it(`ignores routines: ${text}`, () => {
      expect(complaints(`routines: ${text}\n`)).to.deep.equal([
        `6: warning: routines: expected a whole number, found ${found}; it is ignored`,
      ]);
      expect(complaints(`tun: {routines: ${text}}\n`)).to.deep.equal([
        `6: warning: tun.routines: expected a whole number, found ${found}; the default 1 is in force`,
      ]);
    });
  }

  it('reads numbers in quotes', () => {
    expect(configOf('routines: "3"\n').routines).to.equal(3);
  });

  it('warns at the line of the deprecated key', () => {
    expect(complaints('listen:\n  port: 1\n  routines: 2\n')).to.deep.equal([
      `8: warning: listen.routines: ${DEPRECATED}`,
    ]);
  });
});

describe('routine cache timeout', () => {
  it('is off with one routine and one second with more; an explicit value wins', () => {
    expect(resolveRoutineCacheTimeout(1, null)).to.equal(0);
    expect(resolveRoutineCacheTimeout(2, null)).to.equal(1000);
    expect(resolveRoutineCacheTimeout(1, 250)).to.equal(250);
    expect(resolveRoutineCacheTimeout(8, 0)).to.equal(0);
  });

  const cacheOf = (more: string) => configOf(more).firewall.conntrack.routineCacheTimeoutMs;

  it('follows the resolved number of routines', () => {
    expect(cacheOf('')).to.equal(0);
    expect(cacheOf('routines: 2\n')).to.equal(1000);
    expect(cacheOf('tun: {routines: 2}\n')).to.equal(1000);
    expect(cacheOf('routines: 2\nfirewall: {conntrack: {routine_cache_timeout: 0}}\n')).to.equal(0);
    expect(cacheOf('routines: 2\nfirewall: {conntrack: {routine_cache_timeout: 0s}}\n')).to.equal(0);
    expect(cacheOf('firewall: {conntrack: {routine_cache_timeout: 100ms}}\n')).to.equal(100);
  });

  for (const [text, found] of [
    ['-1s', '"-1s"'],
    ['5', '"5"'],
    ['soon', '"soon"'],
    ['1d', '"1d"'],
  ]) {
    it(`is off for ${text}`, () => {
      expect(complaints(`firewall: {conntrack: {routine_cache_timeout: ${text}}}\n`)).to.deep.equal([
        `6: warning: firewall.conntrack.routine_cache_timeout: expected a duration with a unit, such as 10s, 1m30s or 250ms, and not negative, found ${found}; the cache is off`,
      ]);
    });
  }

  it('warns when it is not well below the conntrack timeouts', () => {
    expect(isCacheTimeoutLong(1000, 10_000)).to.equal(false);
    expect(isCacheTimeoutLong(1001, 10_000)).to.equal(true);
    expect(isCacheTimeoutLong(0, 1)).to.equal(false);
    expect(complaints('firewall:\n  conntrack:\n    udp_timeout: 30s\n    routine_cache_timeout: 5s\n')).to.deep.equal([
      '9: warning: firewall.conntrack.routine_cache_timeout: 5000 ms is not well below the shortest conntrack timeout ' +
        '(30000 ms); idle flows will be forgotten early. Use a tenth of it or less',
    ]);
  });
});
