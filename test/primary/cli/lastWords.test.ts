/** How commands end when the machine fails them: one line on standard error, an exit code, no stack. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { lastWords } from '../../../src/primary/cli/lastWords.ts';
import { SysError } from '../../../src/shared/sys/sysError.ts';
import { WEFT_MAIN } from '../../support/nodes.ts';

const COMMANDS = [['version'], ['help'], ['run', '-help']];

describe('last words', function () {
  this.timeout(60_000);

  for (const command of COMMANDS) {
    it(`weft ${command.join(' ')} on a full disk`, () => {
      const full = openSync('/dev/full', 'w');
      const { status, stderr } = spawnSync(process.execPath, [WEFT_MAIN, ...command], {
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
      });
      closeSync(full);
      expect(status).to.equal(1);
      expect(stderr).to.match(/^weft: standard output cannot be written: ENOSPC[^\n]*\n$/);
    });

    it(`weft ${command.join(' ')} for a reader that is gone`, async () => {
      const child = spawn(process.execPath, [WEFT_MAIN, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      let told = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        told += text;
      });
      const [code] = await once(child, 'close');
      expect(told).to.match(/^weft: standard output cannot be written: [^\n]*EPIPE[^\n]*\n$/);
      expect(code).to.equal(1);
    });
  }

  it('keeps the exit code when standard error takes nothing', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stdout } = spawnSync(process.execPath, [WEFT_MAIN, 'nonsense'], {
      stdio: ['ignore', 'pipe', full],
    });
    closeSync(full);
    expect([status, stdout.toString()]).to.deep.equal([2, '']);
  });

  it('are one line for the machine, and a stack for a defect', () => {
    expect(lastWords(new SysError('setgroups', 1, 'dropping privileges', 'this needs CAP_SETGID'))).to.equal(
      'weft: dropping privileges: setgroups: operation not permitted (EPERM); this needs CAP_SETGID',
    );
    expect(
      lastWords(Object.assign(new Error('no module\nRequire stack:\n- x'), { code: 'MODULE_NOT_FOUND' })),
    ).to.equal('weft: no module');
    expect(lastWords(new TypeError('x is not a function'))).to.match(/^weft has a defect.*\n +at /);
  });
});
