import { expect } from 'chai';
import { describe, it } from 'mocha';
import { adviceAt, errorAt, warningAt } from '../../../src/primary/config/problems.ts';
import { ConfigurationHealth } from '../../../src/primary/inspection/health.ts';

const place = { file: 'a.yml', line: 3 };

describe('health of a configuration', () => {
  it('is what it was warned about, but no advice', () => {
    const health = new ConfigurationHealth();
    health.follow([warningAt(place, 'tun.mtu', 'is odd'), adviceAt(place, 'punchy', 'is old')]);
    expect(health.reasons).to.deep.equal([{ kind: 'configuration', text: 'a.yml:3: warning: tun.mtu: is odd' }]);
    health.follow([]);
    expect(health.reasons).to.deep.equal([]);
  });

  it('remembers that a newer one was refused, until one is taken', () => {
    const health = new ConfigurationHealth();
    const odd = warningAt(place, 'tun.mtu', 'is odd');
    health.follow([odd]);
    health.follow([errorAt(place, 'cipher', 'is wrong'), warningAt(place, 'x', 'is no key')]);
    expect(health.reasons.map(({ kind, text }) => `${kind} ${text}`)).to.deep.equal([
      'reload not reloaded: a.yml:3: cipher: is wrong',
      'configuration a.yml:3: warning: tun.mtu: is odd',
    ]);
    health.follow([odd]);
    expect(health.reasons).to.have.length(1);
    health.stoppedHalfWay('the device is down');
    expect(health.reasons[0]).to.deep.equal({ kind: 'reload', text: 'stopped half way: the device is down' });
    health.follow([]);
    expect(health.reasons).to.deep.equal([]);
  });
});
