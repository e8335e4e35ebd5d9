/**
 * A worker that has been taken over and says what it likes to the primary, which is the process of this test: it is
 * killed and replaced for every message out of form, it cannot make the primary act as node:cluster's primary would, and
 * it cannot make it grow. Another worker is heard throughout.
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { ownDirectory } from '../support/ownDirectory.ts';
import { CLUSTER_ACTS, MESSAGE_ACTS } from './hostileActs.ts';
import { HOSTILE_ENTRY, HostileHarness } from './hostileHarness.ts';
import { adversaryScale } from './scale.ts';

describe('a hostile worker that speaks', function () {
  this.timeout(120_000);
  /** Its worker does nothing wrong. */
  const calm = new HostileHarness('');
  let hostile: HostileHarness;

  before(() => calm.start());
  after(() => calm.close());
  afterEach(async () => {
    await hostile.close();
    await expectCalm();
  });

  async function start(act: string): Promise<void> {
    hostile = new HostileHarness(act);
    await hostile.start();
  }

  /** The other worker lives, as the process that it was, and is heard. */
  async function expectCalm(): Promise<void> {
    const { puntCount } = calm;
    await until('frames of the calm worker', () => calm.puntCount > puntCount + 2);
    expect(calm.reasons).to.deep.equal([]);
  }

  describe('out of form', () => {
    for (const act of Object.keys(MESSAGE_ACTS)) {
      it(`with ${act}, is killed and replaced`, async () => {
        await start(act);
        const { pid } = hostile;
        await until('another worker', () => ![0, pid].includes(hostile.pid));
        expect(hostile.metric('worker.protocol_faults')).to.be.at.least(1);
        expect(hostile.reasons[0]).to.match(/^broke the protocol: /);
        // Its successor is as hostile, and may have been killed meanwhile: one line for each.
        expect(hostile.log.lines.length).to.be.within(1, hostile.reasons.length);
      });
    }
  });

  describe('to node:cluster', () => {
    let directory: string;
    let remove: () => void;
    let port: number;
    let victim: string;

    beforeEach(async () => {
      [directory, remove] = ownDirectory('weft-hostile-');
      port = await freePort();
      victim = join(directory, 'victim');
      writeFileSync(victim, 'untouched', { mode: 0o600 });
      process.env['WEFT_HOSTILE_TARGET'] = `${directory}:${port}`;
    });
    afterEach(() => {
      delete process.env['WEFT_HOSTILE_TARGET'];
      remove();
    });

    for (const act of Object.keys(CLUSTER_ACTS)) {
      it(`to ${act}, is not heard`, async () => {
        await start(act);
        const { puntCount, pid } = hostile;
        // It has long said what it wants when it has shown so many signs of life since.
        await until('signs of life', () => hostile.puntCount > puntCount + 50);
        expect(hostile.pid).to.equal(pid);
        expect(await isFree(port), 'the port is free').to.equal(true);
        expect(readdirSync(directory)).to.deep.equal(['victim']);
        expect(readFileSync(victim, 'utf8')).to.equal('untouched');
        expect(statSync(victim).mode & 0o777).to.equal(0o600);
      });
    }

    it('would be heard by a primary that listens: the port is bound, the file is there for everybody', async () => {
      hostile = new HostileHarness('');
      await hostile.start();
      process.env['WEFT_HOSTILE_BARE'] = '1';
      for (const act of ['bind a port', 'bind a socket file']) {
        process.env['WEFT_HOSTILE'] = act;
        cluster.setupPrimary({
          exec: HOSTILE_ENTRY,
          args: [],
          serialization: 'advanced',
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        });
        const bare = cluster.fork();
        await until(act, async () =>
          act === 'bind a port' ? !(await isFree(port)) : existsSync(join(directory, 'hostile.sock')),
        );
        bare.process.kill('SIGKILL');
        await once(bare, 'exit');
      }
      delete process.env['WEFT_HOSTILE_BARE'];
    });
  });

  describe('too much', () => {
    it('in huge messages, costs the primary nothing', async () => {
      await start('huge messages');
      const before = process.memoryUsage().rss;
      const { puntCount } = hostile;
      await until('signs of life', () => hostile.puntCount > puntCount + 50);
      expect(grownBytes(before)).to.be.lessThan(40_000_000);
    });

    it('and hears nothing, is sent a bounded number of messages', async () => {
      await start('hear nothing');
      await sleep(100);
      const before = process.memoryUsage().rss;
      const addresses = Array.from({ length: 50 }, () => new Uint8Array(16));
      const count = adversaryScale(20_000);
      for (let sent = 0; sent < count; sent++) {
        hostile.supervisor.broadcast({ type: 'hostUp', addresses });
        if (sent % 100 === 0) {
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      expect(hostile.metric('worker.messages_lost')).to.be.greaterThan(count / 2);
      expect(grownBytes(before)).to.be.lessThan(40_000_000);
    });

    for (const act of ['as many frames as there is room for', 'ring without a reason']) {
      it(`(${act}), leaves others their turns`, async () => {
        await start(act);
        const { puntCount } = calm;
        const rounds = adversaryScale(20);
        await sleep(rounds * 10);
        await until('frames of the calm worker', () => calm.puntCount > puntCount + rounds / 2);
        expect(hostile.reasons).to.deep.equal([]);
      });
    }
  });

  it('leaves no descriptor and no entry of node:cluster behind', async () => {
    await start('kind 0');
    await until('two deaths', () => hostile.reasons.length >= 2);
    const before = readdirSync('/proc/self/fd').length;
    await until('four deaths', () => hostile.reasons.length >= 4);
    expect(readdirSync('/proc/self/fd').length).to.be.at.most(before + 1);
    expect(Object.keys(cluster.workers ?? {}).length).to.be.at.most(3);
  });
});

function grownBytes(before: number): number {
  return process.memoryUsage().rss - before;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  const isBound = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]).catch(() => false);
  server.close();
  return isBound;
}
