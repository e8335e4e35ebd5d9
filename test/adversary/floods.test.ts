/**
 * Strangers who send first messages without end: garbage, and copies of what they have seen, altered or not, from one
 * port or many. A new host gets its tunnel while it lasts, and who has one loses no packet that the kernel delivered.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import { requireLab } from '../support/environment.ts';
import type { FloodPlan } from '../support/floodProgram.ts';
import { TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { Pki } from '../support/pki.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { WorkerMetrics } from '../support/workerMetrics.ts';
import { adversaryScale } from './scale.ts';

const PROGRAM = fileURLToPath(new URL('../support/floodProgram.js', import.meta.url));
const SERVER = { underlay: '192.0.2.1', overlay: '10.86.0.1' };
const SECONDS = adversaryScale(8);
const PER_SECOND = 20_000;
const PING_MS = 50;

describe('a flood of handshakes', function () {
  this.timeout(300_000);
  let lab: Lab;
  let pki: Pki;
  let server: TestNode;
  let peer: TestNode;
  let newcomer: TestNode;
  let stranger: TestNode['namespace'];
  /** How long a new host takes on this machine when nobody disturbs. */
  let quietMs = 0;

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping');
    lab = new Lab('t');
    const labels = ['server', 'peer', 'newcomer', 'stranger'];
    const namespaces = labels.map((label) => lab.namespace(label));
    lab.lan(namespaces.map((namespace, index) => ({ namespace, addresses: [`192.0.2.${index + 1}/24`] })));
    pki = new Pki(lab.directory);
    const staticHosts = { [SERVER.overlay]: [`${SERVER.underlay}:${UNDERLAY_PORT}`] };
    const node = (index: number): TestNode =>
      new TestNode(lab, namespaces[index], {
        kind: 'weft',
        files: pki.sign(labels[index], `10.86.0.${index + 1}/24`),
        routines: 2,
        ...(index === 0 ? {} : { staticHosts }),
      });
    [server, peer, newcomer] = [node(0), node(1), node(2)];
    stranger = namespaces[3];
    await Promise.all([server.start(), peer.start()]);
    await untilReachable(lab, peer.namespace, SERVER.overlay);
    quietMs = await connect();
  });
  after(() => {
    lab.close();
  });

  /** Milliseconds from the first packet of a host that the server does not know to its first answer. */
  async function connect(): Promise<number> {
    await newcomer.start();
    const startMs = performance.now();
    await untilReachable(lab, newcomer.namespace, SERVER.overlay, 60_000);
    const tookMs = performance.now() - startMs;
    // It says goodbye, so it is a stranger again.
    await newcomer.stop();
    return tookMs;
  }

  for (const kind of ['garbage', 'forged', 'ports'] as const) {
    it(`of kind ${kind} keeps no new host out and takes no packet from a peer`, async () => {
      const cert = pki.sign(`seen-${kind}`, '10.86.0.99/24').cert;
      const metrics = new WorkerMetrics(server.program.pid);
      const linesBefore = server.lines.length;
      const plan: FloodPlan = {
        target: SERVER.underlay,
        port: UNDERLAY_PORT,
        kind,
        seconds: SECONDS,
        perSecond: PER_SECOND,
        cert,
      };
      const flood = lab.start(stranger, [process.execPath, PROGRAM, JSON.stringify(plan)], { title: 'flood' });
      await flood.waitForLine(/flooding/);
      const before = metrics.read('messages.rx.handshake_ixpsk0');
      const count = Math.floor((SECONDS * 1000) / PING_MS / 2);
      const [pings, tookMs] = await Promise.all([
        ping(lab, peer.namespace, SERVER.overlay, { count, intervalMs: PING_MS }),
        connect(),
      ]);
      await flood.exited;
      const { sentCount } = JSON.parse(flood.lines[flood.lines.length - 1]);
      const seen = metrics.read('messages.rx.handshake_ixpsk0').map((n, worker) => n - before[worker]);
      metrics.close();
      const received = seen.reduce((sum, n) => sum + n, 0);
      expect(received, `handshakes that workers saw, of ${sentCount}`).to.be.above(SECONDS * 200);
      expect(Math.min(...seen), 'of the worker that saw fewer').to.be.above(received / 5);
      expect(tookMs, `milliseconds, without a flood ${quietMs}`).to.be.below(quietMs * 4 + 1500);
      expect(pings.sent - pings.received, `pings lost of ${pings.sent}`).to.be.at.most(
        sentCount - received > 100 ? pings.sent / 10 : 0,
      );
      expect(server.lines.length - linesBefore, 'log lines').to.be.below(400);
    });
  }
});
