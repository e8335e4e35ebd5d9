/**
 * The Debian package: built from this checkout, installed into a folder that stands for a machine, run from there. It
 * starts nothing by itself and never touches what is in /etc/weft.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { weftVersion } from '../../src/primary/version.ts';
import { requireLab } from '../support/environment.ts';
import { Pair } from '../support/pair.ts';
import { repositoryRoot } from '../support/sourceTree.ts';

const CONFIG = '# the operator wrote this\n';

describe('Debian package', function () {
  this.timeout(180_000);
  let pair: Pair;
  let folder = '';
  let machine = '';
  let file = '';

  before(function () {
    requireLab(this, 'dpkg', 'dpkg-deb', 'nebula-cert');
    pair = new Pair();
    folder = pair.lab.directory;
    machine = join(folder, 'machine');
    const script = join(repositoryRoot(), 'scripts/deb.mjs');
    file = execFileSync(process.execPath, [script, folder], { encoding: 'utf8' }).trim();
    mkdirSync(join(machine, 'etc/weft'), { recursive: true });
    writeFileSync(join(machine, 'etc/weft/config.yml'), CONFIG);
    mkdirSync(join(machine, 'var/lib/dpkg/updates'), { recursive: true });
    mkdirSync(join(machine, 'var/lib/dpkg/info'), { recursive: true });
    writeFileSync(join(machine, 'var/lib/dpkg/status'), '');
    writeFileSync(join(machine, 'var/lib/dpkg/available'), '');
  });
  after(() => pair?.close());

  /** dpkg on the folder; what the maintainer's scripts call is written down instead of done. */
  function dpkg(...words: readonly string[]): string {
    const bin = join(folder, 'bin');
    const log = join(folder, 'calls');
    mkdirSync(bin, { recursive: true });
    writeFileSync(log, '');
    for (const name of ['systemctl', 'systemd-sysusers']) {
      writeFileSync(join(bin, name), `#!/bin/sh\necho ${name} "$@" >>${log}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const options = [`--root=${machine}`, '--force-script-chrootless', '--force-depends', '--log=/dev/null'];
    const env = { ...process.env, PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
    const { status, stderr } = spawnSync('dpkg', [...options, ...words], { env, encoding: 'utf8' });
    expect(status, stderr).to.equal(0);
    return readFileSync(log, 'utf8');
  }

  const config = (): string => readFileSync(join(machine, 'etc/weft/config.yml'), 'utf8');

  it('says what it needs', () => {
    const field = (name: string): string => execFileSync('dpkg-deb', ['-f', file, name], { encoding: 'utf8' }).trim();
    expect(field('Package')).to.equal('weft');
    expect(field('Version')).to.equal(weftVersion().replace('-', '~'));
    expect(field('Depends')).to.match(/^nodejs \(>= 20\.19\), nodejs \(<< 21\) \| nodejs \(>= 22\.12\)/);
    const names = execFileSync('dpkg-deb', ['-c', file], { encoding: 'utf8' });
    expect(names).not.to.match(/\.map\n|\.ts\n|\/typescript\/|\/mocha\//);
    expect(names.split('\n').filter((line) => line !== '' && !/^\S+ root\/root /.test(line))).to.deep.equal([]);
  });

  it('installs without starting a node, and leaves the configuration alone through upgrade, removal and purge', () => {
    for (const step of [
      ['-i', file],
      ['-i', file],
      ['-r', 'weft'],
      ['-i', file],
      ['-P', 'weft'],
      ['-i', file],
    ]) {
      expect(dpkg(...step), step.join(' ')).not.to.match(/systemctl.*\b(start|restart|enable)\b/);
      expect(config(), step.join(' ')).to.equal(CONFIG);
    }
    const unit = readFileSync(join(machine, 'usr/lib/systemd/system/weft.service'), 'utf8');
    expect(unit).to.include('ExecStart=/usr/bin/weft run -config /etc/weft/config.yml');
    expect(unit).to.include('ConditionPathExists=/etc/weft/config.yml');
    expect(readFileSync(join(machine, 'usr/lib/sysusers.d/weft.conf'), 'utf8')).to.match(/^u weft-worker /);
  });

  it('has a program that works: version, certificates, check, and a node', async () => {
    const weft = join(machine, 'usr/bin/weft');
    const node = existsSync('/usr/bin/node') ? [] : [process.execPath];
    const run = (...words: readonly string[]) =>
      execFileSync([...node, weft][0], [...node, weft, ...words].slice(1), { encoding: 'utf8', cwd: folder });
    expect(run('version')).to.match(new RegExp(`^weft ${weftVersion()} `));
    run('cert', 'ca', '-name', 'deb', '-out-qr', 'ca.png', '-out-crt', 'deb.crt', '-out-key', 'deb.key');
    await pair.left.start({ command: [...node, weft, 'run'] });
    expect(run('check', '-config', pair.left.configPath)).to.match(/./);
    expect(run('status', '-socket', pair.left.socketPath)).to.match(new RegExp(weftVersion()));
    expect(await pair.left.stop()).to.deep.equal({ code: 0, signal: null });
  });
});
