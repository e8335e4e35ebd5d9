import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isDeviceName } from '../../../src/shared/sys/deviceName.ts';

describe('names of devices', () => {
  it('are those that the kernel accepts', () => {
    for (const name of ['', 'tun0', 'nebula1', 'tun%d', '%d', 'a'.repeat(15), 'wg-0.1_x', 'ééééééé1']) {
      expect(isDeviceName(name), name).to.equal(true);
    }
  });

  it('are no others', () => {
    for (const name of ['a'.repeat(16), 'éééééééé', 'a/b', 'a b', 'a:b', 'a\0b', '..', '.', 't%s', 't%d%d', 't%']) {
      expect(isDeviceName(name), name).to.equal(false);
    }
  });
});
