import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseAddress } from '../../../src/shared/ip/address.ts';
import { createLogger, type LoggerOptions, type RootLogger } from '../../../src/shared/log/logger.ts';

function loggerTo(lines: string[], options: Partial<LoggerOptions> = {}): RootLogger {
  return createLogger({
    level: 'info',
    format: 'text',
    disableTimestamp: false,
    unixMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 123),
    write: (line) => lines.push(line),
    ...options,
  });
}

describe('logger', () => {
  it('prints words', () => {
    const lines: string[] = [];
    loggerTo(lines).info('Tunnel is up', { vpnAddrs: ['10.0.0.1'], localIndex: 7, certName: 'host 1' });
    expect(lines).to.deep.equal([
      'time=2026-01-02T03:04:05.123Z level=INFO msg="Tunnel is up" vpnAddrs=[10.0.0.1] localIndex=7 certName="host 1"\n',
    ]);
  });

  it('prints JSON', () => {
    const lines: string[] = [];
    loggerTo(lines, { format: 'json' }).warn('a "b"', { x: { y: 1 } });
    expect(lines[0].endsWith('}\n')).to.equal(true);
    expect(JSON.parse(lines[0])).to.deep.equal({
      time: '2026-01-02T03:04:05.123Z',
      level: 'WARN',
      msg: 'a "b"',
      x: { y: 1 },
    });
  });

  it('names levels as Nebula does and prints those that are enabled', () => {
    for (const [level, words] of [
      ['trace', ['DEBUG-4', 'DEBUG', 'INFO', 'WARN', 'ERROR']],
      ['info', ['INFO', 'WARN', 'ERROR']],
      ['error', ['ERROR']],
    ] as const) {
      const lines: string[] = [];
      const log = loggerTo(lines, { level, disableTimestamp: true });
      for (const each of ['trace', 'debug', 'info', 'warn', 'error'] as const) {
        log[each]('x');
        expect(log.isEnabled(each)).to.equal(lines.length > 0);
      }
      expect(lines).to.deep.equal(words.map((word) => `level=${word} msg=x\n`));
    }
  });

  it('adds the fields of a child, whose own win', () => {
    const lines: string[] = [];
    const log = loggerTo(lines, { disableTimestamp: true, fields: { worker: 3 } });
    log.child({ a: 1, b: 2 }).child({ b: 3 }).info('x', { c: 4 });
    expect(lines).to.deep.equal(['level=INFO msg=x worker=3 a=1 b=3 c=4\n']);
  });

  it('changes level, format and time stamps of all children at once', () => {
    const lines: string[] = [];
    const log = loggerTo(lines);
    const child = log.child({ a: 1 });
    child.debug('no');
    log.configure({ level: 'debug', format: 'json', disableTimestamp: true });
    child.debug('yes');
    log.configure({ level: 'error', format: 'text', disableTimestamp: true });
    child.warn('no');
    child.error('again');
    expect(lines).to.deep.equal(['{"level":"DEBUG","a":1,"msg":"yes"}\n', 'level=ERROR msg=again a=1\n']);
  });

  it('prints addresses by their text, errors by their message, bytes by their number', () => {
    const lines: string[] = [];
    loggerTo(lines, { disableTimestamp: true }).info('x', {
      from: parseAddress('fd00::1'),
      remotes: [parseAddress('10.0.0.1'), parseAddress('10.0.0.2')],
      error: new Error('it broke'),
      key: Uint8Array.of(1, 2, 3),
      counter: 2n ** 64n,
      seen: new Set([1, 2]),
      nothing: null,
      absent: undefined,
    });
    expect(lines).to.deep.equal([
      'level=INFO msg=x from=fd00::1 remotes="[10.0.0.1 10.0.0.2]" error="it broke" key="3 bytes" ' +
        'counter=18446744073709551616 seen="[1 2]" nothing=null\n',
    ]);
  });

  it('keeps fields from taking the place of time, level and message', () => {
    const lines: string[] = [];
    loggerTo(lines, { disableTimestamp: true }).info('x', { msg: 'y', level: 'ERROR', time: 0 });
    expect(lines).to.deep.equal(['level=INFO msg=x msg_=y level_=ERROR time_=0\n']);
  });

  it('survives a value that contains itself', () => {
    const lines: string[] = [];
    const loop: Record<string, unknown> = {};
    loop.loop = loop;
    loggerTo(lines, { disableTimestamp: true }).info('x', { loop });
    expect(lines[0]).to.match(/^level=INFO msg=x loop\.loop\S*=/);
  });

  it('lets no text of a peer begin a line or reach the terminal', () => {
    for (const format of ['text', 'json'] as const) {
      const lines: string[] = [];
      const evil = 'a\nlevel=ERROR msg=owned\r\u001b[2J\u009b31m\u202e\u2028\u007f';
      loggerTo(lines, { format }).info(evil, { certName: evil, [evil]: 1 });
      expect(lines).to.have.length(1);
      expect(lines[0]).to.match(/^[\x20-\x7e]+\n$/);
    }
  });
});
