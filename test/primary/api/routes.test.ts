import { expect } from 'chai';
import { describe, it } from 'mocha';
import { routesOf } from '../../../src/primary/api/routes.ts';
import type { FlowList, RuleList, RulesDifference } from '../../../src/primary/inspection/firewall.ts';
import type { LighthouseEntry, LighthouseList } from '../../../src/primary/inspection/lighthouse.ts';
import type { MetricList } from '../../../src/primary/inspection/metrics.ts';
import { InspectionError } from '../../../src/primary/inspection/nodeView.ts';
import type { HostList, NodeStatus } from '../../../src/primary/inspection/status.ts';
import type { WhyAnswer } from '../../../src/primary/inspection/why.ts';
import { FIRST_RULE_CELL } from '../../../src/shared/memory/firewallCounters.ts';
import { METRIC } from '../../../src/shared/memory/metrics.ts';
import { ep, ip } from '../../support/addresses.ts';
import { configOf, InspectedNode } from '../inspectedNode.ts';

const firewall = {
  inbound: [
    { port: 443, proto: 'tcp', group: 'staff' },
    { port: 'any', proto: 'icmp', host: 'any' },
  ],
  outbound: [{ port: 'any', proto: 'any', host: 'any' }],
  inbound_action: 'reject',
};
const laptop = { name: 'laptop', networks: ['10.0.0.2/24'], groups: ['staff'] };
const https = { local: '10.0.0.1', remote: '10.0.0.2', protocol: 6, localPort: 443, remotePort: 50_000 };

function nodeWithPeer(tree: Readonly<Record<string, unknown>> = {}): InspectedNode {
  const node = new InspectedNode({ firewall, ...tree });
  node.connect(laptop, '192.0.2.2:4242', 77);
  return node;
}

function ask<Answer>(node: InspectedNode, method: string, target: string, body?: unknown): Answer {
  const url = new URL(target, 'http://node');
  const route = routesOf(node).find((each) => each.method === method && each.path === url.pathname);
  const answer = route!.answer({ query: url.searchParams, body });
  return JSON.parse(JSON.stringify(answer)) as Answer;
}

function why(
  node: InspectedNode,
  source: string,
  destination: string,
  more: Readonly<Record<string, unknown>>,
): WhyAnswer {
  return ask<WhyAnswer>(node, 'POST', '/v1/why', { source, destination, protocol: 'tcp', ...more });
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).to.be.instanceOf(InspectionError);
    return `${(error as InspectionError).status} ${(error as InspectionError).message}`;
  }
  return 'answered';
}

describe('status, hosts and metrics', () => {
  it('describe the node', () => {
    const status = ask<NodeStatus>(nodeWithPeer(), 'GET', '/v1/status');
    expect(status).to.deep.include({ version: '1.2.3', uptimeSeconds: 90, networks: ['10.0.0.1/24'], tunnels: 1 });
    expect(status.workers).to.deep.equal([
      { worker: 0, pid: 4711, restarts: 0 },
      { worker: 1, pid: 0, restarts: 3 },
    ]);
    expect(status.certificates[0]).to.deep.include({ name: 'me', secondsLeft: 10 * 86_400 });
  });

  it('list tunnels in the order of addresses, and pending handshakes', () => {
    const node = nodeWithPeer();
    node.connect({ name: 'ten', networks: ['10.0.0.10/24'] }, '192.0.2.10:1', 78);
    node.connect({ name: 'nine', networks: ['10.0.0.9/24'] }, '192.0.2.9:1', 79);
    node.measures.tunnels.sent(node.control.hosts()[0].tunnel.slot, 48);
    node.pending.push({
      address: ip('10.0.0.5'),
      localIndex: 0,
      attemptCount: 3,
      endpoints: [ep('192.0.2.5:1')],
      nextAttemptMs: null,
    });
    const { hosts, pending } = ask<HostList>(node, 'GET', '/v1/hosts');
    expect(hosts.map(({ certificate }) => certificate.name)).to.deep.equal(['laptop', 'nine', 'ten']);
    expect(hosts[0]).to.deep.include({
      localIndex: 77,
      remoteIndex: 1077,
      ageSeconds: 61,
      sentCounter: 2,
      primary: true,
    });
    expect(hosts[0].traffic).to.deep.equal({ receivedPackets: 0, receivedBytes: 0, sentPackets: 1, sentBytes: 48 });
    expect(hosts[0].lastCheckMs).to.equal(null);
    expect(hosts[0].remotes).to.deep.equal(['192.0.2.2:4242']);
    expect(pending).to.deep.equal([{ vpnAddress: '10.0.0.5', localIndex: 0, attempts: 3, endpoints: ['192.0.2.5:1'] }]);
  });

  it('count by process, and name gauges as Nebula does', () => {
    const node = nodeWithPeer();
    node.tables.metrics.column(0)[METRIC['messages.tx.punchy']] = 3;
    node.tables.metrics.column(2)[METRIC['messages.tx.punchy']] = 4;
    node.tables.firewallCounters[1][9] = 5;
    node.addFlow({ ...https, incoming: true, rule: 0 });
    const { counters, gauges } = ask<MetricList>(node, 'GET', '/v1/metrics');
    const counter = (name: string) => counters.find((each) => each.name === name);
    expect(counter('messages.tx.punchy')).to.deep.include({ total: 7, primary: 3, workers: [0, 4] });
    expect(counter('firewall.incoming.dropped.no_rule')).to.deep.include({ total: 5, workers: [0, 5] });
    expect(counter('tunnels.established')).to.deep.include({ total: 2 });
    const gauge = (name: string) => gauges.find((each) => each.name === name)?.value;
    expect(gauge('firewall.conntrack.count')).to.equal(1);
    expect(gauge('hostmap.main.hosts')).to.equal(1);
    expect(gauge('certificate.ttl_seconds')).to.equal(10 * 86_400);
    expect([gauge('udp.0.drops'), gauge('udp.1.drops')]).to.deep.equal([9, undefined]);
    expect(new Set([...counters, ...gauges].map(({ name }) => name)).size).to.equal(counters.length + gauges.length);
  });
});

describe('firewall inspection', () => {
  it('numbers rules and adds up their hits, of the rules in force only', () => {
    const node = nodeWithPeer();
    const [first, second] = node.tables.firewallCounters;
    [first[0], first[FIRST_RULE_CELL], first[FIRST_RULE_CELL + 2]] = [1, 10, 4];
    [second[0], second[FIRST_RULE_CELL]] = [1, 5];
    const list = ask<RuleList>(node, 'GET', '/v1/firewall/rules');
    expect(list.rules.map(({ name, hits }) => [name, hits])).to.deep.equal([
      ['firewall.inbound rule #0', 15],
      ['firewall.inbound rule #1', 0],
      ['firewall.outbound rule #0', 4],
    ]);
    expect(list.rules[0].text).to.equal('port: 443, proto: tcp, group: staff');
    node.config = configOf({ firewall: { outbound: firewall.outbound } });
    node.rulesVersion = 2;
    expect(ask<RuleList>(node, 'GET', '/v1/firewall/rules').rules.map(({ hits }) => hits)).to.deep.equal([0]);
  });

  it('lists live flows by filter and no more than asked for', () => {
    const node = nodeWithPeer();
    node.addFlow({ ...https, incoming: true, rule: 0, worker: 1, secondsLeft: 33 });
    node.addFlow({ ...https, remotePort: 50_001, incoming: true, rule: 0 });
    node.addFlow({ ...https, protocol: 17, localPort: 53, incoming: false, rule: 0, rulesVersion: 0 });
    node.addFlow({ ...https, protocol: 1, localPort: 0, remotePort: 9, incoming: true, rule: 1, secondsLeft: -1 });
    const list = (filter: string) => ask<FlowList>(node, 'GET', `/v1/firewall/flows${filter}`);
    expect(list('').count).to.equal(3);
    expect(list('?port=50000&protocol=tcp').flows).to.deep.equal([
      {
        protocol: 'tcp',
        fragment: false,
        localAddress: '10.0.0.1',
        localPort: 443,
        remoteAddress: '10.0.0.2',
        remotePort: 50_000,
        direction: 'incoming',
        expiresInSeconds: 33,
        rulesVersion: 1,
        rule: { name: 'firewall.inbound rule #0', text: 'port: 443, proto: tcp, group: staff' },
        openedByWorker: 1,
      },
    ]);
    expect(list('?direction=outgoing').flows[0].rule).to.deep.equal({ name: 'firewall.outbound rule #0', text: null });
    expect(list('?address=10.0.0.0/30&limit=1')).to.deep.include({ count: 3 });
    expect(list('?address=10.0.0.0/30&limit=1').flows).to.have.length(1);
    expect(list('?address=10.0.0.3').count).to.equal(0);
    expect(list('?protocol=icmp').count, 'expired').to.equal(0);
    for (const wrong of ['protocol=tpc', 'port=70000', 'direction=in', 'limit=-1', 'address=x', 'ports=1']) {
      expect(
        refusal(() => list(`?${wrong}`)),
        wrong,
      ).to.match(/^400 /);
    }
  });

  it('names the flows that new rules would cut', () => {
    const node = nodeWithPeer();
    node.addFlow({ ...https, incoming: true, rule: 0 });
    node.addFlow({ ...https, protocol: 1, localPort: 0, remotePort: 9, incoming: true, rule: 1 });
    node.addFlow({ ...https, remote: '10.0.0.99', incoming: true, rule: 1 });
    const diff = (body: unknown) => ask<RulesDifference>(node, 'POST', '/v1/firewall/diff', body);
    const same = diff({ inbound: firewall.inbound, outbound: firewall.outbound, defaultLocalCidrAny: false });
    expect(same).to.deep.include({ cutCount: 0, flowCount: 3 });
    expect(same.hash).to.equal(same.newHash);
    const less = diff({ inbound: firewall.inbound.slice(1), outbound: firewall.outbound });
    expect(less.cut.map(({ packet, reopens }) => [packet.LocalPort, reopens])).to.deep.equal([[443, true]]);
    expect(diff({ inbound: firewall.inbound.slice(1), outbound: [] }).cut[0].reopens).to.equal(false);
    expect(refusal(() => diff({ inbound: [{ port: 1 }] }))).to.match(/^400 the new rules are faulty/);
    expect(refusal(() => diff([]))).to.equal('400 expected an object with inbound, outbound, defaultLocalCidrAny');
    expect(refusal(() => diff({ inbound: 5 }))).to.equal('400 inbound: expected a list of rules, not 5');
    expect(refusal(() => diff({ inbuond: [] }))).to.equal(
      '400 unknown: "inbuond"; there are inbound, outbound, defaultLocalCidrAny',
    );
  });
});

describe('why', () => {
  it('names the rule that lets a packet in, and what each field was', () => {
    const answer = why(nodeWithPeer(), '10.0.0.2', '10.0.0.1', { destinationPort: 443 });
    expect(answer).to.deep.include({ outcome: 'allowed', direction: 'incoming', action: null });
    expect(answer.rule?.name).to.equal('firewall.inbound rule #0');
    expect(answer.rule?.checks.map(({ field, passed }) => [field, passed])).to.deep.include(['groups', true]);
    expect(answer.worker).to.deep.include({ worker: null, workers: 2 });
    expect(answer.worker?.reason).to.match(/^worker 1 \(index 77 modulo 2\)/);
  });

  it('finds the entry of the very packet, and counts those beside it', () => {
    const node = nodeWithPeer();
    node.addFlow({ ...https, incoming: true, rule: 0, worker: 1, secondsLeft: 20 });
    const known = why(node, '10.0.0.1', '10.0.0.2', { sourcePort: 443, destinationPort: 50_000 });
    expect(known).to.deep.include({ outcome: 'allowed', direction: 'outgoing', liveFlows: 1 });
    expect(known.conntrack).to.deep.equal({
      direction: 'incoming',
      expiresInSeconds: 20,
      rulesVersion: 1,
      rule: { name: 'firewall.inbound rule #0', text: 'port: 443, proto: tcp, group: staff' },
      openedByWorker: 1,
      recheck: 'not needed',
    });
    const open = why(node, '10.0.0.2', '10.0.0.1', { destinationPort: 443 });
    expect([open.conntrack, open.liveFlows]).to.deep.equal([null, 1]);
  });

  it('says what fails: rules, the peer’s certificate, our own', () => {
    const node = nodeWithPeer();
    const refused = why(node, '10.0.0.2', '10.0.0.1', { destinationPort: 22 });
    expect(refused).to.deep.include({ outcome: 'refused', rule: null, action: 'reject' });
    expect(refused.rules).to.have.length(2);
    const forged = why(node, '10.0.0.9', '10.0.0.1', { destinationPort: 443, via: '10.0.0.2' });
    expect(forged.reason).to.equal('remote address is not in remote certificate networks');
    expect(forged.identity.map(({ passed }) => passed)).to.deep.equal([false, true]);
    const elsewhere = why(node, '10.0.0.2', '10.0.0.7', { destinationPort: 443 });
    expect(elsewhere.reason).to.equal('local address is not in list of handled local addresses');
  });

  it('follows routes as the data path does', () => {
    const node = nodeWithPeer({
      tun: { unsafe_routes: [{ route: '172.16.0.0/12', via: '10.0.0.3' }], drop_multicast: true },
    });
    node.connect({ name: 'gateway', networks: ['10.0.0.3/24'], unsafeNetworks: ['172.16.0.0/16'] }, '192.0.2.3:1', 80);
    const to = (destination: string) => why(node, '10.0.0.1', destination, { destinationPort: 80 });
    expect(to('172.16.1.1')).to.deep.include({ outcome: 'allowed', route: 'unsafe route 172.16.0.0/12 via 10.0.0.3' });
    expect(to('172.17.1.1'), 'not in the certificate').to.deep.include({ outcome: 'refused' });
    expect(to('10.0.0.8').outcome).to.equal('waiting');
    for (const nowhere of ['10.0.0.1', '8.8.8.8', '224.0.0.1']) {
      expect(to(nowhere).outcome, nowhere).to.equal('not carried');
    }
    const back = why(node, '172.16.1.1', '10.0.0.1', { protocol: 'icmp', identifier: 5 });
    expect(back.tunnel?.certificate.name).to.equal('gateway');
    expect(why(node, '10.0.0.44', '10.0.0.1', {}).reason).to.match(/no tunnel whose certificate has 10\.0\.0\.44/);
  });

  it('refuses questions that make no sense', () => {
    const node = nodeWithPeer();
    for (const more of [
      { protocol: 'tcpp' },
      { protocol: 'icmp', destinationPort: 1 },
      { identifier: 1 },
      { destinationPort: '443' },
      { destinationPort: 65_536 },
      { destination: 'fd00::1' },
      { destination: 'laptop' },
      { colour: 1 },
    ]) {
      expect(
        refusal(() => why(node, '10.0.0.2', '10.0.0.1', more)),
        JSON.stringify(more),
      ).to.match(/^400 /);
    }
  });
});

describe('lighthouse inspection', () => {
  it('shows the table of a lighthouse', () => {
    const node = new InspectedNode({ lighthouse: { am_lighthouse: true, max_hosts: 16 }, listen: { port: 4242 } });
    const addresses = [ip('10.0.0.2'), ip('10.0.0.3')];
    node.lighthouse!.add(addresses, 0, 1);
    node.lighthouse!.learn(addresses[0], ep('192.0.2.2:4242'));
    const entry = { vpnAddresses: ['10.0.0.2', '10.0.0.3'], learned: ['192.0.2.2:4242'], reported: [], relays: [] };
    expect(ask<LighthouseList>(node, 'GET', '/v1/lighthouse')).to.deep.equal({
      lighthouse: true,
      count: 1,
      hosts: [entry],
    });
    expect(ask<LighthouseEntry>(node, 'GET', '/v1/lighthouse/query?address=10.0.0.3')).to.deep.equal(entry);
    expect(refusal(() => ask(node, 'GET', '/v1/lighthouse/query?address=10.0.0.4'))).to.match(/^404 /);
    expect(refusal(() => ask(node, 'GET', '/v1/lighthouse/query'))).to.match(/^400 address is missing/);
  });

  it('shows what any other node knows of its peers', () => {
    const node = nodeWithPeer();
    const list = ask<LighthouseList>(node, 'GET', '/v1/lighthouse?limit=5');
    expect(list).to.deep.include({ lighthouse: false, count: 1 });
    expect(list.hosts[0]).to.deep.include({ vpnAddresses: ['10.0.0.2'], learned: ['192.0.2.2:4242'] });
  });
});
