/**
 * Somebody on the path between two nodes who has no key: he copies certificates out of first messages, replays them,
 * writes recv_errors in the peers' names, and delays, doubles and reorders handshakes. No ping may be lost by it, between
 * two weft nodes as well as with Debian's nebula 1.6.1 at the other end (against which he does nothing, as it has no
 * defence).
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import type { Program } from '../../src/primary/cli/demo/program.ts';
import { requireLab } from '../support/environment.ts';
import { type NodeKind, type NodeOptions, TestNode } from '../support/nodes.ts';
import { Pki } from '../support/pki.ts';
import { type PingResult, ping, untilReachable } from '../support/traffic.ts';
import type { MiddlePlan } from './middleProgram.ts';
import { adversaryScale } from './scale.ts';

const LEFT = '10.86.0.1';
const RIGHT = '10.86.0.2';
const PROGRAM = fileURLToPath(new URL('./middleProgram.js', import.meta.url));
const ATTACKS = adversaryScale(60);
const INTERVAL_MS = 150;
const PLAN: MiddlePlan = { victims: ['left', 'right'], attacks: ATTACKS, intervalMs: INTERVAL_MS, delayMsMax: 1500 };
const PING_MS = 100;

class Middle {
  readonly lab = new Lab('t');
  readonly pki: Pki;
  readonly left: TestNode;
  readonly right: TestNode;
  readonly man: Program;

  constructor(kinds: { readonly left: NodeKind; readonly right: NodeKind }, plan: MiddlePlan) {
    const { lab } = this;
    try {
      const [a, man, b] = ['left', 'middle', 'right'].map((label) => lab.namespace(label));
      lab.cable({ namespace: a, addresses: ['192.0.2.1/24'] }, { namespace: man, addresses: ['192.0.2.254/24'] });
      const device = { device: 'cable1' };
      const ends = ['198.51.100.254/24', '198.51.100.2/24'];
      lab.cable({ namespace: man, addresses: [ends[0]] }, { namespace: b, addresses: [ends[1]] }, device);
      this.pki = new Pki(lab.directory);
      this.left = this.#node(a, kinds.left, LEFT, { [RIGHT]: ['192.0.2.254:4242'] });
      this.right = this.#node(b, kinds.right, RIGHT, { [LEFT]: ['198.51.100.254:4242'] });
      const addresses = ['192.0.2.1', '192.0.2.254', '198.51.100.2', '198.51.100.254'];
      this.man = lab.start(man, [process.execPath, PROGRAM, ...addresses, JSON.stringify(plan)], { title: 'middle' });
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  async start(): Promise<void> {
    await this.man.waitForLine(/in the middle/);
    await Promise.all([this.left.start(), this.right.start()]);
  }

  pingBoth(count: number): Promise<readonly PingResult[]> {
    const options = { count, intervalMs: PING_MS };
    return Promise.all([
      ping(this.lab, this.left.namespace, RIGHT, options),
      ping(this.lab, this.right.namespace, LEFT, options),
    ]);
  }

  #node(
    namespace: TestNode['namespace'],
    kind: NodeKind,
    address: string,
    staticHosts: NodeOptions['staticHosts'],
  ): TestNode {
    return new TestNode(this.lab, namespace, {
      kind,
      files: this.pki.sign(namespace.label, `${address}/24`),
      staticHosts: staticHosts ?? {},
      config: { timers: { connection_alive_interval: 1, pending_deletion_interval: 2 } },
    });
  }
}

describe('a man in the middle without a key', function () {
  this.timeout(300_000);
  let middle: Middle;

  before(function () {
    requireLab(this, 'nebula', 'nebula-cert', 'ping');
  });
  afterEach(() => {
    middle.lab.close();
  });

  function expectNoneLost(results: readonly PingResult[], count: number): void {
    expect(results.map(({ sent, received }) => [sent, received])).to.deep.equal(results.map(() => [count, count]));
  }

  for (const [title, kinds, victims] of [
    ['two weft nodes', { left: 'weft', right: 'weft' }, ['left', 'right']],
    ['weft and nebula', { left: 'weft', right: 'nebula' }, ['left']],
  ] as const) {
    it(`${title}: forged and replayed first messages and recv_errors lose no ping`, async () => {
      middle = new Middle(kinds, { ...PLAN, victims });
      const { lab, left, right, man } = middle;
      await middle.start();
      await untilReachable(lab, left.namespace, RIGHT);
      // So he has seen a first message of either.
      await right.restart();
      await untilReachable(lab, right.namespace, LEFT);
      await left.restart();
      await untilReachable(lab, left.namespace, RIGHT);
      await untilReachable(lab, right.namespace, LEFT);
      man.signal('SIGUSR1');
      const count = Math.ceil((ATTACKS * INTERVAL_MS) / PING_MS) + 20;
      const results = await middle.pingBoth(count);
      await man.waitForLine(new RegExp(`attacked ${ATTACKS}`));
      expectNoneLost(results, count);
    });
  }

  it('two weft nodes: handshakes that come late, twice and in any order replace tunnels without losing a ping', async () => {
    middle = new Middle({ left: 'weft', right: 'weft' }, PLAN);
    const { lab, left, right, man, pki } = middle;
    await middle.start();
    await untilReachable(lab, left.namespace, RIGHT);
    man.signal('SIGUSR2');
    await man.waitForLine(/^late/);
    const marks = [left.lines.length, right.lines.length];
    // As long as the renewals take, and below the time that a run of ping may have.
    const count = adversaryScale(100);
    const pinging = middle.pingBoth(count);
    for (let round = 0; round < adversaryScale(2); round++) {
      for (const [node, peer, address] of [
        [left, right, LEFT],
        [right, left, RIGHT],
      ] as const) {
        const name = `${node.namespace.label}-${round}`;
        const mark = peer.lines.length;
        node.writeConfig({ pki: pki.sign(name, `${address}/24`) });
        node.program.signal('SIGHUP');
        await peer.program.waitForLine(new RegExp(`Handshake message received.*${name}`), 20_000, mark);
      }
    }
    expectNoneLost(await pinging, count);
    expect(left.handshakes(marks[0])).to.be.at.least(2);
    expect(right.handshakes(marks[1])).to.be.at.least(2);
  });

  it('weft and nebula: such handshakes still make a tunnel, whoever begins', async () => {
    middle = new Middle({ left: 'weft', right: 'nebula' }, PLAN);
    const { lab, left, right, man } = middle;
    await middle.start();
    man.signal('SIGUSR2');
    await man.waitForLine(/^late/);
    for (const [from, to] of [
      [left, RIGHT],
      [right, LEFT],
    ] as const) {
      await from.restart();
      const first = await ping(lab, from.namespace, to, { count: 1, patienceSeconds: 10 });
      expect(first.received, `the packet that ${from.name} started the handshake with`).to.equal(1);
      expectNoneLost(await middle.pingBoth(20), 20);
    }
  });
});
