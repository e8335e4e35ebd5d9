/** The remembered trial: believed while nothing has changed and the file is nobody else's, and never more than a matter of speed. */
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { defaultTrialPath, TrialFile } from '../../../src/primary/machine/trialFile.ts';
import { chooseProviders, type ProviderReport } from '../../../src/shared/crypto/providers.ts';

const SPEED = { smallNs: 100, largeNs: 200 };

describe('remembered trial', function () {
  this.timeout(60_000);
  let folder = '';
  let path = '';
  let library = '';

  const reports = (...names: ProviderReport['name'][]): ProviderReport[] =>
    names.map((name) => ({ name, aes: SPEED, chacha: SPEED, reason: '', files: [process.execPath, library] }));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-trial-'));
    path = join(folder, 'run', 'ciphers.json');
    library = join(folder, 'libcipher.so.1');
    writeFileSync(library, 'code');
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('keeps reports for this user alone, in a folder that it makes, and gives those that are asked for', () => {
    const file = new TrialFile(path);
    expect(file.recall(['node'])).to.equal(null);
    file.keep(reports('libgcrypt', 'node'));
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(file.recall(['node'])).to.deep.equal(reports('node'));
    file.keep(reports('node'));
    expect(file.recall(['libgcrypt', 'node']), 'one was not tried').to.equal(null);
  });

  it('serves others while it is in use, and leaves no mark', () => {
    const file = new TrialFile(path);
    file.keep(reports('node'));
    // The mark of a process that lives.
    writeFileSync(`${path}.1`, '');
    expect(file.recall(['node'])).to.not.equal(null);
    file.keep(reports('node'));
    expect(readdirSync(dirname(path)).sort()).to.deep.equal(['ciphers.json', 'ciphers.json.1']);
  });

  it('is gone after a process that did not survive it, which so happens once', () => {
    const file = new TrialFile(path);
    file.keep(reports('node'));
    writeFileSync(`${path}.${2 ** 22 + 1}`, '');
    expect(file.recall(['node'])).to.equal(null);
    expect(readdirSync(dirname(path))).to.deep.equal([]);
  });

  it('holds no longer when a library was changed or another was installed beside it', () => {
    const file = new TrialFile(path);
    file.keep(reports('node'));
    writeFileSync(library, 'other code');
    expect(file.recall(['node'])).to.equal(null);
    file.keep(reports('node'));
    writeFileSync(join(folder, 'libfaster.so.1'), '');
    expect(file.recall(['node'])).to.equal(null);
  });

  const keepers: Record<string, () => void> = {
    'others may read': () => chmodSync(path, 0o644),
    'others may write': () => chmodSync(path, 0o622),
    ...(process.geteuid?.() === 0 && { 'belongs to another user': () => chownSync(path, 65_534, 65_534) }),
    'has a second name': () => linkSync(path, join(folder, 'second')),
    'is reached by a link': () => {
      const target = join(folder, 'target.json');
      new TrialFile(target).keep(reports('node'));
      rmSync(path);
      symlinkSync(target, path);
    },
    'is cut short': () => writeFileSync(path, '{"marks":{}', { mode: 0o600 }),
    'has another form': () => writeFileSync(path, '{"marks":{},"report":[{"name":"node"}]}'),
  };
  for (const [fault, make] of Object.entries(keepers)) {
    it(`does not believe a file that ${fault}`, () => {
      const file = new TrialFile(path);
      file.keep(reports('node'));
      make();
      expect(file.recall(['node'])).to.equal(null);
    });
  }

  it('lies where systemd says, else beside the control socket', () => {
    expect(defaultTrialPath({})).to.equal('/run/weft/ciphers.json');
    expect(defaultTrialPath({ RUNTIME_DIRECTORY: '/run/weft-a:/run/other' })).to.equal('/run/weft-a/ciphers.json');
  });

  it('spares the second start its trial, whose choice is the first one', () => {
    const tried: unknown[] = [];
    const choose = (): string =>
      chooseProviders({
        memory: new TrialFile(path),
        trialTimeoutMs: 20_000,
        log: (_, message, fields) => message === 'crypto providers chosen' && tried.push(fields.tried),
      }).aes.name;
    expect(choose()).to.equal(choose());
    expect(tried).to.deep.equal(['now', 'at an earlier start']);
  });

  it('is no reason to take a library that fails its check here, nor to refuse one that works', () => {
    const lie = [
      { ...reports('boringssl')[0], aes: { smallNs: 1, largeNs: 1 }, chacha: null },
      { ...reports('node')[0], aes: null, chacha: null },
    ];
    const memory = { recall: () => lie, keep: () => undefined };
    const script = join(folder, 'probe.cjs');
    writeFileSync(script, `console.log(${JSON.stringify(JSON.stringify({ ...lie[1], aes: SPEED, chacha: SPEED }))});`);
    const choice = chooseProviders({ memory, script, pinned: 'node', log: () => undefined, trialTimeoutMs: 20_000 });
    expect([choice.aes.name, choice.chacha.name]).to.deep.equal(['node', 'node']);
  });
});
