/**
 * Signals at every moment of a start. Once the program catches them, one to end ends it in order with exit code 0, and one
 * to reload reloads when the node is up. Earlier the kernel ends it, and there is nothing yet to leave behind.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { allProcesses } from '../../src/primary/cli/demo/processTable.ts';
import type { ExitStatus, Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { ManagerSocket } from '../support/managerSocket.ts';
import type { TestNode } from '../support/nodes.ts';
import { Pair } from '../support/pair.ts';

/** A start takes about this long here; signals come until it is over. */
const START_MS = 600;
const STEP_MS = 50;
const MOMENTS = Array.from({ length: START_MS / STEP_MS + 1 }, (_, index) => index * STEP_MS);

describe('signals during the start', function () {
  this.timeout(120_000);
  let pair: Pair;
  let node: TestNode;

  before(function () {
    requireLab(this, 'nebula-cert', 'ip');
    pair = new Pair({ left: { routines: 2 } });
    node = pair.left;
  });
  after(() => pair?.close());

  async function expectNothingLeft(program: Program): Promise<void> {
    await until('children to be gone', () => allProcesses().every((stat) => stat.session !== program.mark.pid));
    expect(await node.hasDevice(), 'device').to.equal(false);
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal} ends it in order, whenever it comes`, async () => {
      const caught: ExitStatus[] = [];
      for (const ms of MOMENTS) {
        const program = node.launch();
        await until('signals to be caught', () => catches(program.pid, 'SIGHUP'), 20_000, 1);
        await delay(ms);
        program.signal(signal);
        caught.push(await program.exited);
        expect(program.lines.join('\n'), `${ms} ms`).to.match(/Goodbye$/);
        await expectNothingLeft(program);
      }
      expect(caught).to.deep.equal(MOMENTS.map(() => ({ code: 0, signal: null })));
    });
  }

  it('before it catches them, they end it and nothing is left', async () => {
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      const program = node.launch();
      program.signal(signal);
      expect(await program.exited).to.deep.equal({ code: null, signal });
      await expectNothingLeft(program);
    }
  });

  it('SIGKILL, which nobody catches, leaves nothing either: half-started workers end with their primary', async () => {
    for (const ms of MOMENTS.filter((_, index) => index % 2 === 0)) {
      const program = node.launch();
      await until('signals to be caught', () => catches(program.pid, 'SIGHUP'), 20_000, 1);
      await delay(ms);
      program.signal('SIGKILL');
      await expectNothingLeft(program);
    }
  });

  it('SIGHUP is a reload after the start, however many came', async () => {
    for (const ms of MOMENTS.filter((_, index) => index % 3 === 0)) {
      const program = node.launch();
      await until('signals to be caught', () => catches(program.pid, 'SIGHUP'), 20_000, 1);
      await delay(ms / 2);
      program.signal('SIGHUP');
      await delay(ms / 2);
      program.signal('SIGHUP');
      await program.waitForLine(/weft is up/);
      await program.waitForLine(/Configuration reloaded/);
      program.signal('SIGHUP');
      program.signal('SIGTERM');
      expect(await program.exited).to.deep.equal({ code: 0, signal: null });
      await expectNothingLeft(program);
    }
  });

  it('the service manager is told of each step', async () => {
    const manager = new ManagerSocket(join(pair.lab.directory, 'notify'));
    try {
      const program = node.launch({ env: { NOTIFY_SOCKET: manager.name } });
      await program.waitForLine(/weft is up/);
      await until('READY', () => manager.messages.length > 0);
      for (const worker of node.workerPids()) {
        expect(readFileSync(`/proc/${worker}/environ`, 'latin1')).not.to.include('NOTIFY_SOCKET');
      }
      program.signal('SIGHUP');
      await program.waitForLine(/Configuration reloaded/);
      program.signal('SIGTERM');
      await program.exited;
      expect(manager.messages.map((message) => message.split('\n')[0])).to.deep.equal([
        'READY=1',
        'RELOADING=1',
        'READY=1',
        'STOPPING=1',
      ]);
      const interrupted = node.launch();
      await until('signals to be caught', () => catches(interrupted.pid, 'SIGHUP'), 20_000, 1);
      interrupted.signal('SIGTERM');
      await interrupted.exited;
      expect(manager.messages.slice(4)).to.deep.equal(['STOPPING=1']);
    } finally {
      manager.close();
    }
  });
});

/** Whether a process has a handler of its own for a signal (proc(5), SigCgt). */
function catches(pid: number, signal: 'SIGHUP'): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}
