import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  address,
  choice,
  choiceOfAnyCase,
  choiceOrFlag,
  device,
  duration,
  fingerprint,
  flag,
  hostPort,
  integer,
  name,
  pattern,
  permission,
  positiveDuration,
  prefix,
  text,
} from '../../../src/primary/config/scalars.ts';
import type { Scalar } from '../../../src/primary/config/shapes.ts';

const FINGERPRINT = 'c99d4e650533b92061b09918e838a5a0a6aaee21eed1d12fd937682865936c72';

describe('scalars', () => {
  const cases: readonly (readonly [string, Scalar<unknown>, readonly unknown[], readonly unknown[]])[] = [
    ['text', text, ['', 'a', 5, true], [null, ['a'], {}, undefined]],
    ['text that is not empty', name, ['a', 0], ['', null]],
    [
      'integer',
      integer(0, 65535),
      [0, 65535, '0', '42', '+1', '0042'],
      [-1, 65536, '70000', '', ' 1', '1 ', '10s', '1e3', '0x10', '1.0', 1.5, true, null, [1], '１'],
    ],
    [
      'flag',
      flag,
      [true, false, 0, 1, '1', 't', 'T', 'true', 'TRUE', 'f', 'False', 'y', 'Y', 'yEs', 'n', 'nO'],
      ['on', 'off', '', 2, '2', 'ja', null, [], 'truee'],
    ],
    ['permission', permission, [true, false, 'y', 'Yes', 'n', 'NO'], ['true', 't', '1', 1, 'abc', null, '']],
    [
      'duration',
      duration,
      ['10s', '1m30s', '250ms', '0', 0, '0s', '1.5h', '100us'],
      [10, '10', '-1s', 's', '', '1d', '10 s', true, null, '1h-5m'],
    ],
    ['positive duration', positiveDuration, ['1ns', '10s'], ['0', '0s', 0, '-1s']],
    ['address', address, ['10.0.0.1', 'fd00::1'], ['10.0.0.1/8', '10.0.0', 'host', 10, '', '010.0.0.1']],
    ['prefix', prefix, ['10.0.0.0/8', 'fd00::/64'], ['10.0.0.0', '10.0.0.0/33', 'any', 5, '']],
    [
      'host:port',
      hostPort,
      ['192.0.2.1:4242', '[2001:db8::1]:1', 'vpn.example.com:0', 'localhost:65535'],
      ['192.0.2.1', ':4242', '2001:db8::1:1', '999.1.1.1:1', 'a b:1', 'a:65536', 'a:x', '[::g]:1', 4242],
    ],
    ['choice', choice('info', 'warn', '1'), ['info', 'warn', 1], ['', 'WARN', 'debug', true, 2]],
    ['choice of any case', choiceOfAnyCase('info', 'warn'), ['info', 'WARN', 'Warn'], ['', 'debug', true, 1]],
    [
      'choice or flag',
      choiceOrFlag('always', 'never', 'always', 'never'),
      ['always', 'never', true, false, 'yes', 'no', 0],
      ['private', 'Always', '', 2],
    ],
    [
      'fingerprint',
      fingerprint,
      [FINGERPRINT, FINGERPRINT.toUpperCase(), '1'.repeat(64)],
      [FINGERPRINT.slice(1), `${FINGERPRINT}0`, 'g'.repeat(64), 5],
    ],
    [
      'device',
      device,
      ['', 'weft1', 'tun%d', 'a'.repeat(15), 5, true],
      ['a'.repeat(16), 'a/b', 'a b', '.', '..', 'ü'.repeat(8), null],
    ],
    ['pattern', pattern, ['eth.*', 'docker\\d+', '', '(?i)ETH.*'], ['(', '[a', 'a(?i)b', 'a(?=b)', 5]],
  ];
  for (const [title, scalar, good, bad] of cases) {
    it(`${title}: accepts what it should and nothing else`, () => {
      for (const value of good) {
        expect(scalar.parse(value), `accepts ${JSON.stringify(value)}`).to.not.equal(null);
      }
      for (const value of bad) {
        expect(scalar.parse(value), `refuses ${JSON.stringify(value)}`).to.equal(null);
      }
    });
  }
});
