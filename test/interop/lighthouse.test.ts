/**
 * weft and Debian's nebula 1.6.1 as lighthouse and as hosts behind NAT, in all combinations. Routers let in only whom
 * their host has sent to, so two hosts reach each other only when query, reply, punch notification and punch all work.
 */
import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { MetricList } from '../../src/primary/inspection/metrics.ts';
import { requireLab } from '../support/environment.ts';
import { NatLab, overlayAddress, privateAddress, publicAddress } from '../support/natLab.ts';
import { type NodeKind, type NodeOptions, type TestNode, WEFT_MAIN } from '../support/nodes.ts';
import { ping, untilReachable } from '../support/traffic.ts';

interface Roles {
  readonly lighthouse: Partial<NodeOptions>;
  readonly hosts: readonly NodeKind[];
}

const ROLES: readonly Roles[] = [
  { lighthouse: { kind: 'nebula' }, hosts: ['nebula', 'nebula', 'nebula'] },
  { lighthouse: { kind: 'nebula' }, hosts: ['weft', 'weft', 'weft'] },
  { lighthouse: { kind: 'weft', routines: 1 }, hosts: ['nebula', 'nebula', 'nebula'] },
  { lighthouse: { kind: 'weft', routines: 2 }, hosts: ['nebula', 'weft', 'nebula'] },
  { lighthouse: { kind: 'nebula' }, hosts: ['weft', 'nebula', 'weft'] },
];

describe('interop with nebula 1.6.1: lighthouses', function () {
  this.timeout(120_000);
  let net: NatLab | null = null;

  before(function () {
    requireLab(this, 'nebula', 'nebula-cert', 'ping', 'nft');
  });
  afterEach(() => {
    net?.close();
    net = null;
  });

  for (const { lighthouse, hosts } of ROLES) {
    const workers = lighthouse.routines === undefined ? '' : ` with ${lighthouse.routines} routines`;
    const control = lighthouse.kind === 'nebula' && hosts.every((kind) => kind === 'nebula') ? ' (control)' : '';
    it(`lighthouse ${lighthouse.kind}${workers}, hosts ${hosts.join(', ')}${control}`, async () => {
      const started = new NatLab({
        lighthouse,
        hosts: hosts.map((kind) => ({ nat: 'restricted', node: { kind } })),
      });
      net = started;
      await started.start();
      await Promise.all([expectReachable(started, 1, 2), expectUnknownHostIsSilence(started)]);
      await restartLighthouse(started);
      // Nobody but the lighthouse can tell where these are.
      await Promise.all([expectReachable(started, 2, 3), expectReachable(started, 3, 1)]);
    });
  }
});

async function expectReachable(net: NatLab, from: number, to: number): Promise<void> {
  const { lab, hosts } = net;
  await untilReachable(lab, hosts[from - 1].namespace, overlayAddress(to), 45_000);
  expect((await ping(lab, hosts[to - 1].namespace, overlayAddress(from))).received).to.equal(3);
  const flow = `src=${privateAddress(from)} dst=${publicAddress(to)} `;
  expect(
    net.flows(from).filter((line) => line.includes(flow)),
    `flows of router ${from}`,
  ).to.not.deep.equal([]);
}

async function expectUnknownHostIsSilence({ lab, lighthouse, hosts }: NatLab): Promise<void> {
  const lost = await ping(lab, hosts[0].namespace, overlayAddress(77), { count: 1, patienceSeconds: 1 });
  expect(lost.received).to.equal(0);
  if (lighthouse.kind === 'weft') {
    await until('a query without an answer', () => count(lighthouse, 'lighthouse.queries.not_found') > 0);
    await until('a reply', () => count(lighthouse, 'lighthouse.tx.HostQueryReply') > 0, 20_000);
    await until('a notification', () => count(lighthouse, 'lighthouse.tx.HostPunchNotification') > 0);
    await until('the reports of all hosts', () => count(lighthouse, 'lighthouse.rx.HostUpdateNotification') >= 3);
    expect(count(lighthouse, 'lighthouse.drop.malformed')).to.equal(0);
  }
}

/** Without a goodbye; returns when it stands again. */
async function restartLighthouse({ lighthouse }: NatLab): Promise<void> {
  lighthouse.program.signal('SIGKILL');
  await lighthouse.program.exited;
  await lighthouse.start();
}

function count(node: TestNode, name: string): number {
  const words = [WEFT_MAIN, 'metrics', name, '-json', '-socket', node.socketPath];
  const done = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 20_000 });
  const { counters } = JSON.parse(done.stdout) as MetricList;
  return counters.find((counter) => counter.name === name)?.total ?? 0;
}
