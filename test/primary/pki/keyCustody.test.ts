import { expect } from 'chai';
import { describe, it } from 'mocha';
import { until } from '../../../src/primary/cli/demo/until.ts';
import type { Identity } from '../../../src/primary/pki/identity.ts';
import { KeyCustody } from '../../../src/primary/pki/keyCustody.ts';
import { TestAuthority } from '../../support/testAuthority.ts';

const authority = new TestAuthority(77);
const QUICK = { tryIntervalMs: 1, retries: 2 };
const NEVER = { tryIntervalMs: 60_000, retries: 10 };

function identity(keySeed: number): Identity {
  return authority.identity('host', ['10.42.0.1/24'], { keySeed });
}

function isWiped({ privateKey }: Identity): boolean {
  return privateKey.every((byte) => byte === 0);
}

describe('the custody of private keys', function () {
  this.timeout(60_000);

  it('wipes the key of an identity that was refused, at once', () => {
    const [old, offered] = [identity(1), identity(2)];
    new KeyCustody(NEVER).afterReload(old, offered, old);
    expect([isWiped(old), isWiped(offered)]).to.deep.equal([false, true]);
  });

  it('wipes the key that was replaced when no handshake can need it any more, and keeps the new one', async () => {
    const [old, offered] = [identity(1), identity(2)];
    new KeyCustody(QUICK).afterReload(old, offered, offered);
    expect(isWiped(old)).to.equal(false);
    await until('the old key to be wiped', () => isWiped(old), 20_000, 1);
    expect(isWiped(offered)).to.equal(false);
  });

  it('does so also when the key is the same: the new identity has its own copy', async () => {
    const [old, offered] = [identity(1), identity(1)];
    new KeyCustody(QUICK).afterReload(old, offered, offered);
    await until('the old copy to be wiped', () => isWiped(old), 20_000, 1);
    expect(isWiped(offered)).to.equal(false);
  });

  it('wipes everything when the node stops', () => {
    const [first, second, third] = [identity(1), identity(2), identity(3)];
    const custody = new KeyCustody(NEVER);
    custody.afterReload(first, second, second);
    custody.afterReload(second, third, third);
    expect([first, second, third].map(isWiped)).to.deep.equal([false, false, false]);
    custody.close(third);
    expect([first, second, third].map(isWiped)).to.deep.equal([true, true, true]);
  });
});
