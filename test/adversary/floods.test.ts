/**
 * Strangers who send first messages without end: garbage, and copies of what they have seen, altered or not, from one
 * port or many. A new host gets its tunnel while it lasts, and who has one loses no packet that the kernel delivered.
 * And a certified peer that has the node decide about test requests without end: only its own go unanswered.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import type { MetricName } from '../../src/shared/memory/metrics.ts';
import { requireLab } from '../support/environment.ts';
import { TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { Pki } from '../support/pki.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { WorkerMetrics } from '../support/workerMetrics.ts';
import type { FloodPlan } from './floodProgram.ts';
import type { HostilePeerPlan } from './hostilePeerProgram.ts';
import { adversaryScale } from './scale.ts';

const PROGRAM = fileURLToPath(new URL('./floodProgram.js', import.meta.url));
const HOSTILE_PEER = fileURLToPath(new URL('./hostilePeerProgram.js', import.meta.url));
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

  it('of test requests from changing ports of a certified peer neither grows a worker nor harms another peer', async () => {
    const requests = adversaryScale(200_000);
    const plan: HostilePeerPlan = {
      target: SERVER.underlay,
      port: UNDERLAY_PORT,
      files: pki.sign('hostile', '10.86.0.66/24'),
      requests,
      perSecond: 25_000,
    };
    const metrics = new WorkerMetrics(server.program.pid);
    const sum = (name: MetricName): number => metrics.read(name).reduce((total, n) => total + n, 0);
    const [before, limited] = [sum('messages.rx.test_request'), sum('punts.limited.test')];
    const pids = server.allPids();
    const residentBefore = pids.map(residentBytes);
    const hostile = lab.start(stranger, [process.execPath, HOSTILE_PEER, JSON.stringify(plan)], { title: 'hostile' });
    await hostile.waitForLine(/connected/);
    const count = Math.floor((requests / plan.perSecond) * 1000) / PING_MS;
    const [pings, tookMs] = await Promise.all([
      ping(lab, peer.namespace, SERVER.overlay, { count, intervalMs: PING_MS }),
      connect(),
    ]);
    await hostile.exited;
    const seen = sum('messages.rx.test_request') - before;
    const refused = sum('punts.limited.test') - limited;
    metrics.close();
    expect(seen, 'requests that workers saw').to.be.above(requests / 20);
    // Those from where the tunnel has just moved to are answered by the worker itself, and count here too.
    expect(seen - refused, `of ${seen} that the primary was asked about`).to.be.below(
      adversaryScale(2 * (20 + 10 * 60)),
    );
    const grown = pids.map((pid, index) => residentBytes(pid) - residentBefore[index]);
    expect(Math.max(...grown), 'bytes that a process has grown by').to.be.below(100 << 20);
    expect(tookMs, `milliseconds, without a flood ${quietMs}`).to.be.below(quietMs * 4 + 1500);
    expect(pings.sent - pings.received, `pings lost of ${pings.sent}`).to.be.at.most(
      requests - seen > 100 ? pings.sent / 10 : 0,
    );
    expect(server.allPids(), 'the same processes').to.deep.equal(pids);
  });
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
