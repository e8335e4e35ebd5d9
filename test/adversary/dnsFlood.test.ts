/** A flood of DNS questions is the DNS process's affair: the primary goes on shaking hands and answering meanwhile. */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { ApiClient } from '../../src/primary/cli/apiClient.ts';
import type { Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { MetricList } from '../../src/primary/inspection/metrics.ts';
import { requireLab } from '../support/environment.ts';
import { LEFT, Pair } from '../support/pair.ts';
import { runSeconds } from '../support/procfs.ts';
import { untilReachable } from '../support/traffic.ts';
import { adversaryScale } from './scale.ts';

const ATTACK = fileURLToPath(new URL('./entryAttack.js', import.meta.url));
const DNS_PORT = 5353;
/** At most: the test ends it when it has seen enough. */
const FLOOD_MS = 30_000;
const LOOK_MS = adversaryScale(1_000);
/** A share of the processor that even a busy machine of one core leaves. */
const SLOWER_MAX = 30;

describe('a flood of DNS questions', function () {
  this.timeout(180_000);
  let pair: Pair;
  let api: ApiClient;

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping');
    const lighthouse = { am_lighthouse: true, serve_dns: true, dns: { host: '0.0.0.0', port: DNS_PORT } };
    pair = new Pair({ left: { config: { lighthouse } } });
    await pair.start();
    await pair.left.program.waitForLine(/DNS server is up/);
    await untilReachable(pair.lab, pair.right.namespace, LEFT);
    api = new ApiClient(pair.left.socketPath);
  });
  after(() => pair?.close());

  async function answersWithin(ms: number): Promise<number> {
    const endMs = performance.now() + ms;
    let answers = 0;
    while (performance.now() < endMs) {
      await api.get('/v1/hosts');
      answers++;
    }
    return answers;
  }

  async function total(name: string): Promise<number> {
    const { counters } = (await api.get('/v1/metrics')) as MetricList;
    return counters.find((counter) => counter.name === name)?.total ?? 0;
  }

  function flood(): Program {
    const words = ['flood', '192.0.2.1', String(DNS_PORT), String(FLOOD_MS), '1'];
    return pair.lab.start(pair.right.namespace, [process.execPath, ATTACK, ...words]);
  }

  it('keeps neither handshakes nor the API waiting', async () => {
    await answersWithin(LOOK_MS);
    const quiet = await answersWithin(LOOK_MS);
    const flooding = flood();
    await until('the flood', async () => (await total('dns.queries')) > 1_000);
    const before = await total('dns.queries');
    const busy = await answersWithin(LOOK_MS);
    const asked = (await total('dns.queries')) - before;
    const [primary, dns] = [[pair.left.program.pid], [pair.left.dnsPid()]];
    const [primaryBefore, dnsBefore] = [runSeconds(primary), runSeconds(dns)];
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const [ofPrimary, ofDns] = [runSeconds(primary) - primaryBefore, runSeconds(dns) - dnsBefore];
    expect(ofPrimary, `the primary’s share beside ${ofDns} s of the DNS process`).to.be.lessThan(ofDns / 2);
    const mark = pair.left.lines.length;
    await pair.right.restart();
    await untilReachable(pair.lab, pair.right.namespace, LEFT);
    expect(pair.left.handshakes(mark), 'handshakes meanwhile').to.be.greaterThan(0);
    expect(flooding.status, 'the flood goes on').to.equal(null);
    await flooding.stop();
    console.log(`      API answers in ${LOOK_MS} ms: ${quiet} in quiet, ${busy} beside ${asked} questions`);
    expect(busy).to.be.greaterThan(quiet / SLOWER_MAX);
    expect(asked).to.be.greaterThan(busy);
    expect(await total('boundary.dns')).to.equal(0);
    expect(await total('dns.restarts')).to.equal(0);
  });
});
