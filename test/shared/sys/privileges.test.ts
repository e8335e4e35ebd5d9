import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { confinementEnvironment, confinementFromEnvironment, statusFault } from '../../../src/shared/sys/privileges.ts';
import { requireLab } from '../../support/environment.ts';

const USER = { uid: 70_001, gid: 70_002 };

describe('the confinement in the environment', () => {
  it('arrives as it was sent', () => {
    for (const hasFilter of [true, false]) {
      const confinement = { ...USER, parent: 4711, hasFilter };
      expect(confinementFromEnvironment(confinementEnvironment(confinement))).to.deep.equal(confinement);
    }
  });

  it('is missing in a process that somebody started by hand', () => {
    for (const text of [undefined, '', '0', '1:2:3', '1:2:3:2', 'a:2:3:1', '1:2:3:1:1']) {
      const environment = text === undefined ? {} : { WEFT_CONFINEMENT: text };
      expect(() => confinementFromEnvironment(environment), text).to.throw(/never by hand/);
    }
  });
});

describe('giving up privileges', function () {
  this.timeout(30_000);

  before(function () {
    requireLab(this, 'setpriv');
  });

  it('names what is missing where groups may not be given up', () => {
    const module = new URL('../../../src/shared/sys/privileges.js', import.meta.url).href;
    const confinement = JSON.stringify({ uid: 1, gid: 1, parent: 1, hasFilter: false });
    const script = `import('${module}').then(({ confine }) => confine(${confinement}, 'worker'))`;
    const { status, stderr } = spawnSync(
      'setpriv',
      ['--bounding-set=-setgid', '--inh-caps=-setgid', '--', process.execPath, '-e', script],
      { encoding: 'utf8' },
    );
    expect(status).to.equal(1);
    expect(stderr).to.match(/dropping privileges: setgroups: .*EPERM\); this needs CAP_SETGID/);
  });
});

describe('statusFault', () => {
  const lines = {
    Name: 'node',
    Uid: '70001\t70001\t70001\t70001',
    Gid: '70002\t70002\t70002\t70002',
    Groups: ' ',
    CapInh: '0000000000000000',
    CapPrm: '0000000000000000',
    CapEff: '0000000000000000',
    CapBnd: '000001ffffffffff',
    CapAmb: '0000000000000000',
  };
  const faultOf = (changes: Partial<typeof lines>): string | null => {
    const fields = Object.entries({ ...lines, ...changes });
    return statusFault(fields.map(([name, value]) => `${name}:\t${value}\n`).join(''), USER);
  };

  it('finds nothing in a confined thread', () => {
    expect(faultOf({})).to.equal(null);
  });

  it('names what was kept', () => {
    expect(faultOf({ Uid: '70001\t70001\t0\t70001' })).to.match(/has Uid 70001\t70001\t0\t70001, not 70001/);
    expect(faultOf({ Gid: '70002\t70002\t70002\t0' })).to.match(/has Gid/);
    expect(faultOf({ Groups: '0 27 ' })).to.equal('is in groups 0 27');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
      expect(faultOf({ [set]: '0000000000001000' })).to.equal(`has capabilities: ${set} 0000000000001000`);
    }
    expect(statusFault('', USER)).to.match(/Uid/);
  });
});
