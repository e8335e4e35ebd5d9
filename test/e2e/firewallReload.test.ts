/** New rules while data flows: what they still allow goes on, what they no longer allow stops, faulty ones change nothing. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { RIGHT } from '../support/pair.ts';
import { isListening } from '../support/procfs.ts';
import { FirewallPair } from './firewallPair.ts';

const KEPT_PORT = 5201;
const CUT_PORT = 5202;
/** TCP that was cut tries again after ever longer pauses, so a moment's delay of the rules may cost many seconds. */
const RETRY_MS = 90_000;
const tcp = (...ports: readonly number[]): object[] => ports.map((port) => ({ port, proto: 'tcp', host: 'any' }));

describe('firewall rules changed by SIGHUP during two TCP transfers', function () {
  this.timeout(180_000);
  let pair: FirewallPair;
  let kept: Transfer;
  let cut: Transfer;

  before(async function () {
    requireLab(this, 'iperf3');
    // Two queues: both workers must take the rules over, and empty their caches of flows, which no tick does meanwhile.
    const config = { firewall: { conntrack: { routine_cache_timeout: '60s' } } };
    pair = await FirewallPair.open({ routines: 2, config });
    await applyInbound(KEPT_PORT, CUT_PORT);
    kept = await Transfer.start(pair, KEPT_PORT);
    cut = await Transfer.start(pair, CUT_PORT);
  });
  after(() => {
    pair?.close();
  });

  /** Without outbound rules: the receiver's acknowledgements would open a flow that was cut again, from inside. */
  async function applyInbound(...ports: readonly number[]): Promise<void> {
    await pair.apply(pair.right, { inbound: tcp(...ports), outbound: [] });
  }

  it('both run under the first rules', async () => {
    await Promise.all([kept.untilRunning(), cut.untilRunning()]);
  });

  it('the one that is no longer allowed stops, the other goes on', async () => {
    const failed = pair.right.counters.total('RechecksFailed');
    await applyInbound(KEPT_PORT);
    await cut.untilStopped();
    await kept.untilRunning();
    await until('a recheck that failed', () => pair.right.counters.total('RechecksFailed') > failed);
  });

  it('a faulty rule set changes nothing and is named in the log', async () => {
    const { node, counters } = pair.right;
    const mark = node.lines.length;
    const faulty = [...tcp(KEPT_PORT, CUT_PORT), { port: 22, proto: 'tpc', host: 'any' }];
    node.writeConfig({ firewall: { inbound: faulty, outbound: [] } });
    node.program.signal('SIGHUP');
    const line = await node.program.waitForLine(/the running configuration stays in force/, 30_000, mark);
    expect(line).to.include('firewall.inbound[2]').and.to.include('tpc');
    await kept.untilRunning();
    await cut.untilStopped();
    expect(counters.read('RulesVersion'), 'rules in force').to.deep.equal([3, 3]);
  });

  it('the one that is allowed again goes on where it was', async () => {
    await applyInbound(CUT_PORT, KEPT_PORT);
    await Promise.all([kept.untilRunning(), cut.untilRunning()]);
  });

  it('rules of the side that opened the connections cut them too', async () => {
    // Without inbound rules, for the same reason.
    await pair.apply(pair.left, { inbound: [], outbound: tcp(CUT_PORT) });
    await kept.untilStopped();
    await cut.untilRunning();
  });
});

/** A TCP transfer from left to right without end, as its receiver sees it: bytes in each fifth of a second. */
class Transfer {
  readonly #server: Program;
  readonly #port: number;

  private constructor(server: Program, port: number) {
    this.#server = server;
    this.#port = port;
  }

  static async start(pair: FirewallPair, port: number): Promise<Transfer> {
    const server = await startReportingServer(pair, port);
    // Slow enough to leave the processors to the rest.
    const words = ['iperf3', '-c', RIGHT, '-p', String(port), '-t', '600', '-b', '20M'];
    pair.lab.start(pair.left.namespace, words);
    return new Transfer(server, port);
  }

  /** Returns when data has arrived in each of three further intervals. */
  async untilRunning(): Promise<void> {
    await this.#untilAll('data', (bytes) => bytes > 0);
  }

  /** Returns when three further intervals have passed in a row without data. */
  async untilStopped(): Promise<void> {
    await this.#untilAll('no data', (bytes) => bytes === 0);
  }

  async #untilAll(what: string, holds: (bytes: number) => boolean): Promise<void> {
    const from = this.#intervals().length;
    await until(
      `${what} on port ${this.#port}`,
      () => {
        const latest = this.#intervals().slice(from).slice(-3);
        return latest.length === 3 && latest.every(holds);
      },
      RETRY_MS,
    );
  }

  #intervals(): number[] {
    return this.#server.lines.flatMap((line) => {
      const match = /^\[ *\d+\] +[\d.]+-[\d.]+ +sec +([\d.]+) ([KMG]?)Bytes/.exec(line);
      return match === null ? [] : [Number(match[1]) * 1024 ** ['', 'K', 'M', 'G'].indexOf(match[2])];
    });
  }
}

async function startReportingServer(pair: FirewallPair, port: number): Promise<Program> {
  const words = ['iperf3', '-s', '-1', '-B', RIGHT, '-p', String(port), '-i', '0.2', '--forceflush'];
  const server = pair.lab.start(pair.right.namespace, words);
  await until(`iperf3 to listen on port ${port}`, () => isListening(server.pid, port));
  return server;
}
