import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { readSources } from '../../../src/primary/config/files.ts';
import { loadConfig } from '../../../src/primary/config/loader.ts';
import { formatProblem } from '../../../src/primary/config/problems.ts';
import { BASE } from './support.ts';

describe('configuration files', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-config-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function write(name: string, text: string = ''): void {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }

  function names(path: string = directory): readonly string[] {
    return readSources(path).sources.map(({ file }) => file.slice(directory.length + 1));
  }

  it('takes a single file of any name', () => {
    write('settings.conf', BASE);
    expect(names(join(directory, 'settings.conf'))).to.deep.equal(['settings.conf']);
    expect(loadConfig(join(directory, 'settings.conf')).config?.pki.ca).to.equal('ca.crt');
  });

  it('takes .yml and .yaml of a directory and those below it, sorted by path as bytes', () => {
    for (const name of ['b.yml', 'a/z.yaml', 'a.yml', 'B.yml', 'note.txt', 'a/n.json', '10.yml', '9.yml', 'ä.yml']) {
      write(name);
    }
    expect(names()).to.deep.equal(['10.yml', '9.yml', 'B.yml', 'a.yml', 'a/z.yaml', 'b.yml', 'ä.yml']);
  });

  it('follows symbolic links once', () => {
    write('real/a.yml');
    mkdirSync(join(directory, 'etc'));
    symlinkSync(join(directory, 'real', 'a.yml'), join(directory, 'etc', 'l.yml'));
    symlinkSync(join(directory, 'etc'), join(directory, 'etc', 'loop'));
    expect(names(join(directory, 'etc'))).to.deep.equal(['etc/l.yml']);
  });

  it('says what is wrong with the path', () => {
    const missing = join(directory, 'missing');
    expect(loadConfig(missing).problems.map(formatProblem)).to.deep.equal([
      `${missing}: no config files found: it does not exist`,
    ]);
    expect(loadConfig(directory).problems.map(formatProblem)).to.deep.equal([
      `${directory}: no config files found: the directory has no .yaml or .yml file`,
    ]);
    symlinkSync(join(directory, 'gone'), join(directory, 'x.yml'));
    expect(loadConfig(directory).problems.map(formatProblem)).to.deep.equal([
      `${join(directory, 'x.yml')}: cannot be read: it does not exist`,
    ]);
  });

  it('merges the files of a directory and keeps their places', () => {
    write('01-base.yml', BASE);
    write('02-listen.yml', '# the port\nlisten: {port: 4242}\n');
    const loaded = loadConfig(directory);
    expect(loaded.config?.listen.port).to.equal(4242);
    expect(loaded.files.map((file) => file.slice(directory.length + 1))).to.deep.equal([
      '01-base.yml',
      '02-listen.yml',
    ]);
    expect(loaded.locate(['listen', 'port'])).to.deep.equal({ file: join(directory, '02-listen.yml'), line: 2 });
    expect(loaded.locate(['pki', 'nothing'])).to.deep.equal({ file: join(directory, '01-base.yml'), line: 1 });
  });
});
