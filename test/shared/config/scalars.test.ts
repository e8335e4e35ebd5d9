import { expect } from 'chai';
import { describe, it } from 'mocha';
import { accepts, type Scalar } from '../../../src/shared/config/scalars.ts';

const integer: Scalar = { is: 'integer', min: 0, max: 65535, unit: '' };
const level: Scalar = { is: 'choice', of: ['info', 'warn'], ifTrue: '', ifFalse: '' };
const mode: Scalar = { is: 'choice', of: ['always', 'never'], ifTrue: 'always', ifFalse: 'never' };
const FINGERPRINT = 'c99d4e650533b92061b09918e838a5a0a6aaee21eed1d12fd937682865936c72';

describe('scalars', () => {
  for (const [name, scalar, good, bad] of [
    ['text', { is: 'text', mayBeEmpty: true, secret: false }, ['', 'a', 5], [true, null, ['a'], {}, undefined]],
    ['text that is not empty', { is: 'text', mayBeEmpty: false, secret: false }, ['a', 0], ['', null]],
    [
      'integer',
      integer,
      [0, 65535, '0', '42', '+1', '0042'],
      [-1, 65536, '70000', '', ' 1', '1 ', '10s', '1e3', '0x10', '1.0', 1.5, true, null, [1], '１'],
    ],
    [
      'flag',
      { is: 'flag' },
      [true, false, 0, 1, '1', 't', 'T', 'true', 'TRUE', 'f', 'False', 'y', 'Y', 'yEs', 'n', 'nO'],
      ['on', 'off', '', 2, '2', 'ja', null, [], 'truee'],
    ],
    ['permission', { is: 'permission' }, [true, false, 'y', 'Yes', 'n', 'NO'], ['true', 't', '1', 1, 'abc', null, '']],
    [
      'duration',
      { is: 'duration', min: 'zero' },
      ['10s', '1m30s', '250ms', '0', 0, '0s', '1.5h', '100us'],
      [10, '10', '-1s', 's', '', '1d', '10 s', true, null, '1h-5m'],
    ],
    ['positive duration', { is: 'duration', min: 'positive' }, ['1ns', '10s'], ['0', '0s', 0, '-1s']],
    ['any duration', { is: 'duration', min: 'any' }, ['-1s', '0'], ['x']],
    ['address', { is: 'address' }, ['10.0.0.1', 'fd00::1'], ['10.0.0.1/8', '10.0.0', 'host', 10, '', '010.0.0.1']],
    ['prefix', { is: 'prefix' }, ['10.0.0.0/8', 'fd00::/64'], ['10.0.0.0', '10.0.0.0/33', 'any', 5, '']],
    [
      'host:port',
      { is: 'hostPort' },
      ['192.0.2.1:4242', '[2001:db8::1]:1', 'vpn.example.com:0', 'localhost:65535'],
      ['192.0.2.1', ':4242', '2001:db8::1:1', '999.1.1.1:1', 'a b:1', 'a:65536', 'a:x', '[::g]:1', 4242],
    ],
    ['choice', level, ['info', 'WARN'], ['', 'debug', true, 1]],
    ['choice or flag', mode, ['always', 'never', true, false, 'yes', 'no', 0], ['private', '', 2]],
    [
      'fingerprint',
      { is: 'fingerprint' },
      [FINGERPRINT, FINGERPRINT.toUpperCase(), '1'.repeat(64)],
      [FINGERPRINT.slice(1), `${FINGERPRINT}0`, 'g'.repeat(64), 5],
    ],
    [
      'device',
      { is: 'device' },
      ['', 'weft1', 'tun%d', 'a'.repeat(15), 5],
      ['a'.repeat(16), 'a/b', 'a b', '.', '..', 'ü'.repeat(8), true],
    ],
    ['pattern', { is: 'pattern' }, ['eth.*', 'docker\\d+', ''], ['(', '[a', 5]],
  ] as const) {
    it(`${name}: accepts what it should and nothing else`, () => {
      for (const value of good) {
        expect(accepts(scalar, value), `accepts ${JSON.stringify(value)}`).to.equal(true);
      }
      for (const value of bad) {
        expect(accepts(scalar, value), `refuses ${JSON.stringify(value)}`).to.equal(false);
      }
    });
  }
});
