/**
 * What real clients meet at the firewall: answers, silence, or a refusal at once when the configuration says so. One pair
 * of nodes lives through all tests; each puts its own rules into force.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { requireLab } from '../support/environment.ts';
import type { CounterName } from '../support/firewallCounters.ts';
import { attempt, futile, lively, outcomes, serve } from '../support/firewallProbe.ts';
import { OVERLAY_DEVICE } from '../support/nodes.ts';
import { LEFT, RIGHT } from '../support/pair.ts';
import { ping } from '../support/traffic.ts';
import { FirewallPair, type FirewallSide, ICMP, RIGHT6 } from './firewallPair.ts';

/** Far below any time-out of a client, and enough for a busy machine. */
const AT_ONCE_MS = 5_000;
const OPEN_PORT = 8001;
const CLOSED_PORT = 8009;
const OPEN_TCP = { port: OPEN_PORT, proto: 'tcp', host: 'any' };

describe('firewall', function () {
  this.timeout(60_000);
  let pair: FirewallPair;

  before(async function () {
    requireLab(this, 'ping');
    pair = await FirewallPair.open();
    const plan = { host: '::', tcp: [OPEN_PORT, 8002, CLOSED_PORT], udp: [OPEN_PORT, 8002, CLOSED_PORT] };
    await Promise.all([serve(pair.lab, pair.left.namespace, plan), serve(pair.lab, pair.right.namespace, plan)]);
  });
  after(() => {
    pair?.close();
  });

  async function apply(left: object, right: object): Promise<void> {
    await Promise.all([pair.apply(pair.left, { ...left }), pair.apply(pair.right, { ...right })]);
  }

  it('lets in what a rule names, replies to what this node began, and nothing else', async () => {
    const inbound = [
      { port: OPEN_PORT, proto: 'tcp', host: 'left' },
      { port: 8002, proto: 'udp', groups: ['ops'] },
      { port: 'any', proto: 'icmp', cidr: `${LEFT}/32` },
    ];
    await apply({ inbound: [] }, { inbound });
    const attempts = [
      ...[lively('tcp', RIGHT, OPEN_PORT), lively('udp', RIGHT, 8002)],
      ...[futile('tcp', RIGHT, CLOSED_PORT), futile('udp', RIGHT, CLOSED_PORT)],
      ...[futile('tcp', RIGHT, 8002), futile('udp', RIGHT, OPEN_PORT)],
    ];
    expect(await outcomes(pair.lab, pair.left.namespace, attempts)).to.deep.equal([
      ...['answered', 'answered'],
      ...['silence', 'silence', 'silence', 'silence'],
    ]);
    expect((await ping(pair.lab, pair.left.namespace, RIGHT)).received).to.equal(3);
    const back = [futile('tcp', LEFT, OPEN_PORT), futile('udp', LEFT, 8002)];
    expect(await outcomes(pair.lab, pair.right.namespace, back)).to.deep.equal(['silence', 'silence']);
    expect(await pingOnce(pair.right, LEFT)).to.equal(0);
    expectCounts(pair.right, ['IncomingNoRule', 'ConntrackHits']);
    expectCounts(pair.left, ['IncomingNoRule', 'ConntrackHits']);
  });

  it('lets nothing in and nothing out when there are no rules', async () => {
    await apply({}, { inbound: undefined, outbound: undefined });
    const before = pair.right.counters.total('OutgoingNoRule');
    expect(await outcomes(pair.lab, pair.left.namespace, [futile('tcp', RIGHT, OPEN_PORT)])).to.deep.equal(['silence']);
    expect(await outcomes(pair.lab, pair.right.namespace, [futile('tcp', LEFT, OPEN_PORT)])).to.deep.equal(['silence']);
    expect(await pingOnce(pair.left, RIGHT)).to.equal(0);
    expect(pair.right.counters.total('OutgoingNoRule')).to.be.greaterThan(before);
  });

  it('refuses packets from peers at once with inbound_action: reject', async () => {
    // The refusal of a datagram is an ICMP message of its own, which the client's node must let in.
    await apply({ inbound: [ICMP] }, { inbound: [OPEN_TCP], outbound: [], inbound_action: 'reject' });
    await expectOpen(pair.left, RIGHT);
    await expectRefusals(pair.left, RIGHT, 'EHOSTUNREACH');
    await expectPingFiltered(pair.left);
  });

  it('refuses IPv6 packets from peers as well', async () => {
    await apply({ inbound: [ICMP] }, { inbound: [OPEN_TCP], outbound: [], inbound_action: 'reject' });
    await expectOpen(pair.left, RIGHT6);
    await expectRefusals(pair.left, RIGHT6, 'EACCES');
  });

  it("refuses this node's own packets at once with outbound_action: reject, also those without a route", async () => {
    await apply({ inbound: [], outbound: [OPEN_TCP], outbound_action: 'reject' }, {});
    await expectOpen(pair.left, RIGHT);
    const before = pair.right.counters.total('FlowsAdded');
    await expectRefusals(pair.left, RIGHT, 'EHOSTUNREACH');
    await expectRefusals(pair.left, RIGHT6, 'EACCES');
    await expectPingFiltered(pair.left);
    await pair.lab.run(pair.left.namespace, ['ip', 'route', 'add', '10.200.0.0/16', 'dev', OVERLAY_DEVICE]);
    await expectRefusals(pair.left, '10.200.0.1', 'EHOSTUNREACH');
    expect(pair.right.counters.total('FlowsAdded'), 'flows that reached the other node').to.equal(before);
  });

  it('is silent again with outbound_action: drop', async () => {
    await apply({ inbound: [], outbound: [OPEN_TCP], outbound_action: 'drop' }, {});
    const attempts = [lively('tcp', RIGHT, OPEN_PORT), futile('tcp', RIGHT, CLOSED_PORT), futile('udp', RIGHT, 8002)];
    const expected = ['answered', 'silence', 'silence'];
    expect(await outcomes(pair.lab, pair.left.namespace, attempts)).to.deep.equal(expected);
  });

  it('has no cache of flows in front of conntrack when there is only one queue', () => {
    expectCounts(pair.left, ['ConntrackHits']);
    expect(pair.left.counters.total('CacheHits')).to.equal(0);
    expect(pair.left.node.lines.filter((line) => line.includes('routine-local conntrack cache'))).to.deep.equal([]);
  });

  async function pingOnce(from: FirewallSide, to: string): Promise<number> {
    return (await ping(pair.lab, from.namespace, to, { count: 1, patienceSeconds: 1 })).received;
  }

  async function expectOpen(from: FirewallSide, host: string): Promise<void> {
    expect(await outcomes(pair.lab, from.namespace, [lively('tcp', host, OPEN_PORT)])).to.deep.equal(['answered']);
  }

  /** TCP by a reset; UDP by an ICMP error, which the client's kernel tells it as `unreachable`. */
  async function expectRefusals(from: FirewallSide, host: string, unreachable: string): Promise<void> {
    const attempts = [lively('tcp', host, CLOSED_PORT), lively('udp', host, CLOSED_PORT)];
    const results = await attempt(pair.lab, from.namespace, attempts);
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(['ECONNREFUSED', unreachable]);
    for (const { ms } of results) {
      expect(ms, 'milliseconds until the refusal').to.be.below(AT_ONCE_MS);
    }
  }

  async function expectPingFiltered(from: FirewallSide): Promise<void> {
    const { lines } = await pair.lab.run(from.namespace, ['ping', '-n', '-c', '1', '-W', '10', RIGHT]);
    expect(lines.join('\n')).to.match(/Packet filtered/);
  }

  function expectCounts(side: FirewallSide, names: readonly CounterName[]): void {
    for (const name of names) {
      expect(side.counters.total(name), `${name} of ${side.node.name}`).to.be.greaterThan(0);
    }
  }
});
