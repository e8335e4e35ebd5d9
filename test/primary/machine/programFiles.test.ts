import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { ProgramFiles } from '../../../src/primary/machine/programFiles.ts';
import { ownDirectory } from '../../support/ownDirectory.ts';

describe('program files', () => {
  let root = '';
  let remove = (): void => undefined;
  let files: ProgramFiles;
  const state = (): string => files.look().state;

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  beforeEach(() => {
    [root, remove] = ownDirectory('weft-program-');
    write('package.json', JSON.stringify({ version: '1.0.0', dependencies: { a: '1' } }));
    write(
      'node_modules/a/package.json',
      JSON.stringify({ version: '1.0.0', optionalDependencies: { b: '1', c: '1' } }),
    );
    write('node_modules/a/node_modules/b/package.json', '{"version":"1.0.0"}');
    for (const name of ['worker/main.js', 'dns/main.js', 'shared/ip/address.js']) {
      write(`dist/${name}`, `// ${name}\n`);
    }
    files = new ProgramFiles(join(root, 'dist'));
  });
  afterEach(() => remove());

  it('are the same when nobody wrote, and when a build wrote them again', () => {
    expect(state()).to.equal('same');
    const path = join(root, 'dist/worker/main.js');
    const text = readFileSync(path, 'utf8');
    rmSync(path);
    expect(files.look()).to.deep.equal({ state: 'gone', path });
    writeFileSync(path, text);
    expect(state()).to.equal('same');
  });

  for (const gone of ['dist', 'dist/shared', 'node_modules', 'node_modules/a/node_modules/b', 'package.json']) {
    it(`are gone without ${gone}, and back with it`, () => {
      renameSync(join(root, gone), join(root, 'away'));
      expect(state()).to.equal('gone');
      renameSync(join(root, 'away'), join(root, gone));
      expect(state()).to.equal('same');
    });
  }

  for (const [path, text] of [
    ['package.json', '{"version":"1.0.1","dependencies":{"a":"1"}}'],
    ['node_modules/a/node_modules/b/package.json', '{"version":"1.0.1"}'],
    ['dist/worker/main.js', '// another\n'],
  ]) {
    it(`are others when ${path} is another`, () => {
      write(path, text);
      expect(state()).to.equal('other');
      expect(state()).to.equal('other');
    });
  }

  it('include the ones of this very program', () => {
    expect(new ProgramFiles().look().state).to.equal('same');
  });
});
