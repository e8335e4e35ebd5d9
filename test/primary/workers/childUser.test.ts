import { expect } from 'chai';
import { describe, it } from 'mocha';
import { chooseChildUser, type UserFacts, userFacts } from '../../../src/primary/workers/childUser.ts';

const EVERY_ID = '         0          0 4294967295\n';
const FACTS: UserFacts = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
  group: 'root:x:0:\nnogroup:x:65534:\n',
  uidMap: EVERY_ID,
  gidMap: EVERY_ID,
  running: new Set([0, 1000]),
  ownUid: 0,
  random: 0,
};
const WORKER_LINE = 'weft-worker:x:990:989::/:/sbin/nologin\n';

describe('chooseChildUser', () => {
  it('takes the user that the system has for it', () => {
    expect(chooseChildUser({ ...FACTS, passwd: FACTS.passwd + WORKER_LINE })).to.deep.equal({ uid: 990, gid: 989 });
  });

  it('never takes root or nonsense for it', () => {
    for (const line of ['weft-worker:x:0:0::/:', 'weft-worker:x:990:0::/:', 'weft-worker:x:a:1::/:', 'weft-worker']) {
      expect(chooseChildUser({ ...FACTS, passwd: `${line}\n` }), line).to.deep.equal({ uid: 70_000, gid: 70_000 });
    }
  });

  it('does not give workers the user of the primary', () => {
    const facts = { ...FACTS, passwd: WORKER_LINE, ownUid: 990 };
    expect(() => chooseChildUser(facts)).to.throw(/must not run as weft-worker/);
  });

  it('passes over ids that a file or a process has', () => {
    const facts = {
      ...FACTS,
      passwd: 'somebody:x:70000:100:::\n',
      group: 'group:x:70001:\n',
      running: new Set([70_002, 70_003]),
    };
    expect(chooseChildUser(facts).uid).to.equal(70_004);
    expect(chooseChildUser({ ...facts, passwd: 'somebody:x:1:70004:::\n' }).uid).to.equal(70_000);
  });

  it('starts anywhere, and keeps out of what is given to people, services and containers', () => {
    for (const random of [0, 0.1, 0.5, 0.999999]) {
      const { uid } = chooseChildUser({ ...FACTS, random });
      expect(uid).to.be.within(70_000, 99_999);
    }
    const last = chooseChildUser({ ...FACTS, random: 0.99999, running: new Set([99_999]) });
    expect(last.uid).to.be.within(70_000, 99_998);
  });

  it('takes ids that exist in its user namespace', () => {
    const sixteenBits = '0 100000 65536\n';
    expect(chooseChildUser({ ...FACTS, uidMap: sixteenBits, gidMap: sixteenBits }).uid).to.equal(60_706);
    const onlyRoot = '0 1000 1\n';
    expect(() => chooseChildUser({ ...FACTS, uidMap: onlyRoot })).to.throw(/make a system user weft-worker/);
  });

  it('finds an id on this machine that no process has', () => {
    const facts = userFacts(0.5);
    expect([...facts.running]).to.include(process.getuid?.());
    const { uid } = chooseChildUser(facts);
    expect(facts.running.has(uid)).to.equal(false);
  });
});
