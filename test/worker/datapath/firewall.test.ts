import { expect } from 'chai';
import { describe, it } from 'mocha';
import { cutFlows } from '../../../src/primary/inspection/reloadDiff.ts';
import type { OwnIdentity } from '../../../src/shared/firewall/identity.ts';
import type { PeerView } from '../../../src/shared/firewall/peerView.ts';
import type { RuleTable } from '../../../src/shared/firewall/ruleTable.ts';
import { Verdict } from '../../../src/shared/firewall/verdict.ts';
import type { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { FirewallCounter, firewallCounterCells, ruleHits } from '../../../src/shared/memory/firewallCounters.ts';
import { Firewall } from '../../../src/worker/datapath/firewall.ts';
import { RoutineCache } from '../../../src/worker/datapath/routineCache.ts';
import {
  type CertificateSpec,
  ownIdentity,
  peerView,
  rulesOf,
  type TupleSpec,
  tupleOf,
} from '../../shared/firewall/certificates.ts';

const anyGroup = { port: 'any', proto: 'any', group: 'any' };
const host1 = { networks: ['1.2.3.4/24'], groups: ['default-group'], issuer: 'signer-shasum' };

interface BenchSpec {
  readonly inbound?: readonly unknown[];
  readonly outbound?: readonly unknown[];
  readonly own?: CertificateSpec;
  readonly peer?: CertificateSpec;
  readonly cacheMs?: number;
  readonly caNames?: Readonly<Record<string, string>>;
}

/** One worker's firewall, with what a test wants to reach. */
class Bench {
  readonly own: OwnIdentity;
  readonly peer: PeerView;
  readonly memory: ArrayBuffer = new ArrayBuffer(ConntrackTable.byteLength(64));
  readonly conntrack: ConntrackTable = new ConntrackTable(this.memory, 0, 64, 1);
  readonly cache: RoutineCache;
  readonly counters: Float64Array = new Float64Array(firewallCounterCells(8));
  firewall: Firewall;

  constructor(spec: BenchSpec) {
    this.conntrack.initialize(99);
    this.own = ownIdentity(spec.own ?? { networks: ['1.2.3.4/8'] }, spec.caNames);
    this.peer = peerView(spec.peer ?? host1, this.own);
    this.cache = new RoutineCache(spec.cacheMs ?? 0, 16);
    this.firewall = this.with(rulesOf(spec));
  }

  with(rules: RuleTable): Firewall {
    const timeouts = { tcpMs: 60_000, udpMs: 30_000, defaultMs: 10_500 };
    const { own, conntrack, cache, counters } = this;
    this.firewall = new Firewall({ own, rules, timeouts, conntrack, cache, counters });
    return this.firewall;
  }

  check(tuple: PacketTuple, incoming: boolean, nowSeconds: number = 100, peer: PeerView = this.peer): number {
    return this.firewall.check(tuple, peer, incoming, nowSeconds);
  }
}

function udp(spec: Partial<TupleSpec> = {}): PacketTuple {
  return tupleOf({ local: '1.2.3.4', remote: '1.2.3.4', localPort: 10, remotePort: 90, ...spec });
}

describe('firewall', () => {
  describe('with the published cases', () => {
    it('lets a flow return that an inbound rule let in', () => {
      const bench = new Bench({ inbound: [anyGroup] });
      expect(bench.check(udp(), false)).to.equal(Verdict.NoRule);
      expect(bench.check(udp(), true)).to.equal(Verdict.Rule);
      expect(bench.check(udp(), false)).to.equal(Verdict.Conntrack);
      expect(bench.check(udp({ remote: '1.2.3.10' }), true)).to.equal(Verdict.RemoteAddress);
    });

    const cases: readonly (readonly [string, readonly unknown[], CertificateSpec, number])[] = [
      [
        'neither group nor authority',
        [
          { group: 'nope', ca_sha: 'signer-shasum' },
          { group: 'default-group', ca_sha: 'other' },
        ],
        host1,
        Verdict.NoRule,
      ],
      [
        'group and authority',
        [
          { group: 'nope', ca_sha: 'other' },
          { group: 'default-group', ca_sha: 'signer-shasum' },
        ],
        host1,
        Verdict.Rule,
      ],
      [
        'another authority by name',
        [
          { group: 'nope', ca_name: 'ca-good' },
          { group: 'default-group', ca_name: 'ca-good-bad' },
        ],
        host1,
        Verdict.NoRule,
      ],
      ['the authority by name', [{ group: 'default-group', ca_name: 'ca-good' }], host1, Verdict.Rule],
      [
        'all groups',
        [{ groups: ['default-group', 'test-group'] }],
        { ...host1, groups: ['default-group', 'test-group'] },
        Verdict.Rule,
      ],
      [
        'not all groups',
        [{ groups: ['default-group', 'test-group'] }],
        { ...host1, groups: ['default-group', 'test-group-not'] },
        Verdict.NoRule,
      ],
      ['its name', [{ host: 'host1' }, { ca_sha: 'signer-sha' }], { ...host1, name: 'host1' }, Verdict.Rule],
      [
        'its authority only',
        [{ host: 'host1' }, { ca_sha: 'signer-sha' }],
        { ...host1, name: 'host2', issuer: 'signer-sha' },
        Verdict.Rule,
      ],
      [
        'neither name nor authority',
        [{ host: 'host1' }, { ca_sha: 'signer-sha' }],
        { ...host1, name: 'host3', issuer: 'signer-sha-bad' },
        Verdict.NoRule,
      ],
      ['its address', [{ cidr: '1.2.3.4/24' }], host1, Verdict.Rule],
    ];
    for (const [title, rules, peer, verdict] of cases) {
      it(`judges a peer that matches ${title}`, () => {
        const inbound = rules.map((rule) => ({ port: 1, proto: 'any', ...(rule as object) }));
        const bench = new Bench({ inbound, peer, caNames: { 'signer-shasum': 'ca-good' } });
        expect(bench.check(udp({ localPort: 1 }), true)).to.equal(verdict);
      });
    }

    it('checks addresses against both certificates', () => {
      const own = { networks: ['1.1.1.1/8'] };
      const bench = (peer: CertificateSpec, mine: CertificateSpec = own) =>
        new Bench({ inbound: [anyGroup], own: mine, peer });
      const to = (remote: string, local: string = '1.1.1.1') => tupleOf({ local, remote, localPort: 10 });
      expect(bench(host1).check(to('1.2.3.4'), true)).to.equal(Verdict.Rule);
      expect(bench(host1).check(to('1.2.3.4', '1.2.3.8'), true)).to.equal(Verdict.LocalAddress);
      expect(bench(host1).check(to('9.9.9.9'), true)).to.equal(Verdict.RemoteAddress);
      expect(bench({ networks: ['2.2.2.2/24'] }).check(to('2.2.2.2'), true)).to.equal(Verdict.PeerAddress);
      const two = { networks: ['1.2.3.4/24', '2.2.2.2/24'] };
      expect(bench(two).check(to('1.2.3.4'), true)).to.equal(Verdict.Rule);
      expect(bench(two).check(to('9.9.9.9'), true)).to.equal(Verdict.RemoteAddress);
      const other = { networks: ['2.2.2.1/24'] };
      expect(bench(two, other).check(to('2.2.2.2', '2.2.2.1'), true)).to.equal(Verdict.Rule);
    });

    it('asks for a local_cidr where this node has unsafe networks', () => {
      const own = { networks: ['1.2.3.4/8'], unsafeNetworks: ['192.168.0.0/24'] };
      const inward = udp({ local: '192.168.0.3' });
      expect(new Bench({ own, inbound: [anyGroup] }).check(inward, true)).to.equal(Verdict.NoRule);
      expect(new Bench({ own, inbound: [anyGroup] }).check(udp(), true)).to.equal(Verdict.Rule);
      const local = { ...anyGroup, local_cidr: '192.168.0.0/24' };
      expect(new Bench({ own, inbound: [local] }).check(inward, true)).to.equal(Verdict.Rule);
      expect(new Bench({ own, inbound: [local] }).check(udp(), true)).to.equal(Verdict.NoRule);
    });
  });

  it('refuses a peer that uses the address of another on its live flow, cached or not', () => {
    for (const cacheMs of [0, 1000]) {
      const bench = new Bench({ inbound: [anyGroup], cacheMs });
      bench.cache.tick(1, 0);
      for (let packet = 0; packet < 4; packet++) {
        expect(bench.check(udp(), true)).to.be.at.least(0);
      }
      expect(bench.check(udp(), true)).to.equal(cacheMs > 0 ? Verdict.Cache : Verdict.Conntrack);
      const intruder = peerView({ name: 'b', networks: ['1.2.3.5/24'] }, bench.own);
      expect(bench.check(udp(), true, 100, intruder)).to.equal(Verdict.RemoteAddress);
      expect(bench.counters[FirewallCounter.IncomingRemoteAddress]).to.equal(1);
      expect(bench.check(udp(), true)).to.be.at.least(0);
    }
  });

  it('forgets a flow when its timeout is over, and keeps it while it is used', () => {
    const bench = new Bench({ inbound: [anyGroup] });
    for (const [protocol, seconds] of [
      [6, 60],
      [17, 30],
      [47, 11],
    ]) {
      const tuple = udp({ protocol });
      expect(bench.check(tuple, true, 1000)).to.equal(Verdict.Rule);
      expect(bench.check(tuple, false, 1000 + seconds)).to.equal(Verdict.Conntrack);
      expect(bench.check(tuple, false, 1000 + 2 * seconds)).to.equal(Verdict.Conntrack);
      expect(bench.check(tuple, false, 1001 + 3 * seconds)).to.equal(Verdict.NoRule);
    }
  });

  it('counts flows of both directions to the peer, so that no flood of one takes the flow of another', () => {
    const bench = new Bench({ inbound: [anyGroup], outbound: [anyGroup] });
    const other = peerView({ ...host1, networks: ['1.2.3.5/24'] }, bench.own);
    const idle = udp({ remote: '1.2.3.5' });
    expect(bench.check(idle, true, 100, other)).to.equal(Verdict.Rule);
    for (let port = 0; port < 4000; port++) {
      bench.check(udp({ localPort: port, protocol: 6 }), port % 2 === 0, 101);
    }
    expect(bench.conntrack.evictionCount).to.be.above(3000);
    expect(bench.check(idle, false, 102, other)).to.equal(Verdict.Conntrack);
  });

  it('knows a flow that another worker opened at the next packet', () => {
    const bench = new Bench({ inbound: [anyGroup] });
    const counters = new Float64Array(firewallCounterCells(8));
    const other = new Firewall({
      own: bench.own,
      rules: rulesOf({}),
      timeouts: { tcpMs: 1000, udpMs: 1000, defaultMs: 1000 },
      conntrack: new ConntrackTable(bench.memory, 0, 64, 2),
      cache: new RoutineCache(0),
      counters,
    });
    expect(other.check(udp(), bench.peer, false, 100)).to.equal(Verdict.NoRule);
    expect(bench.check(udp(), true)).to.equal(Verdict.Rule);
    expect(other.check(udp(), bench.peer, false, 100)).to.equal(Verdict.Conntrack);
    expect(counters[FirewallCounter.ConntrackHits]).to.equal(1);
  });

  describe('after a reload', () => {
    it('keeps a flow that the new rules allow and ends one that they do not', () => {
      const bench = new Bench({ inbound: [anyGroup] });
      expect(bench.check(udp(), true)).to.equal(Verdict.Rule);
      const port = (number: number) => [{ port: number, proto: 'any', group: 'any' }];
      bench.with(rulesOf({ inbound: port(10), version: 2 }));
      expect(bench.check(udp(), false)).to.equal(Verdict.Conntrack);
      expect([...bench.conntrack.flows(100)][0]).to.include({ rulesVersion: 2, incoming: true });
      bench.with(rulesOf({ inbound: port(11), version: 3 }));
      expect(bench.check(udp(), false)).to.equal(Verdict.NoRule);
      expect(bench.conntrack.size()).to.equal(0);
      const recheckCells = [FirewallCounter.Rechecks, FirewallCounter.RechecksFailed];
      expect(recheckCells.map((cell) => bench.counters[cell])).to.deep.equal([2, 1]);
    });

    it('lets a cut flow open again by a rule of the other direction', () => {
      const bench = new Bench({ inbound: [anyGroup] });
      bench.check(udp(), true);
      bench.with(rulesOf({ outbound: [anyGroup], version: 2 }));
      expect(bench.check(udp(), false)).to.equal(Verdict.Rule);
      expect([...bench.conntrack.flows(100)][0].incoming).to.equal(false);
    });

    it('empties the cache, so a cached flow is re-checked at once', () => {
      const bench = new Bench({ inbound: [anyGroup], cacheMs: 1000 });
      bench.cache.tick(1, 0);
      for (let packet = 0; packet < 3; packet++) {
        bench.check(udp(), true);
      }
      expect(bench.cache.entryCount).to.equal(1);
      bench.with(rulesOf({ version: 2 }));
      expect(bench.check(udp(), true)).to.equal(Verdict.NoRule);
    });

    it('does not undo what a worker with newer rules has allowed', () => {
      const bench = new Bench({ inbound: [anyGroup] });
      bench.with(rulesOf({ inbound: [anyGroup], version: 5 }));
      bench.check(udp(), true);
      bench.with(rulesOf({ version: 4 }));
      expect(bench.check(udp(), false)).to.equal(Verdict.Conntrack);
    });

    it('shows beforehand which flows it would cut', () => {
      const bench = new Bench({ inbound: [anyGroup] });
      bench.check(udp(), true);
      bench.check(udp({ localPort: 11 }), true);
      const rules = rulesOf({ inbound: [{ port: 10, proto: 'udp', host: 'any' }], outbound: [anyGroup], version: 2 });
      const cut = cutFlows(bench.conntrack.flows(100), rules, () => bench.peer);
      expect(cut).to.have.length(1);
      expect(cut[0]).to.deep.include({ incoming: true, expirySeconds: 130, reopens: true });
      expect(cut[0].packet.LocalPort).to.equal(11);
      expect(cutFlows(bench.conntrack.flows(100), rules, () => null)).to.deep.equal([]);
    });
  });

  it('counts verdicts by reason and direction, and flows by rule', () => {
    const bench = new Bench({
      inbound: [
        { port: 1, proto: 'udp', host: 'any' },
        { ...anyGroup, proto: 'tcp' },
      ],
    });
    bench.check(udp({ localPort: 1 }), true);
    bench.check(udp({ localPort: 1 }), true);
    bench.check(udp({ protocol: 6 }), true);
    bench.check(udp({ protocol: 6, localPort: 11 }), true);
    bench.check(udp({ localPort: 2 }), true);
    bench.check(udp({ localPort: 2 }), false);
    bench.check(udp({ remote: '9.9.9.9' }), false);
    bench.check(udp({ local: '9.9.9.9' }), false);
    const cells = bench.counters;
    expect(cells[FirewallCounter.IncomingNoRule]).to.equal(1);
    expect(cells[FirewallCounter.OutgoingNoRule]).to.equal(1);
    expect(cells[FirewallCounter.OutgoingRemoteAddress]).to.equal(1);
    expect(cells[FirewallCounter.OutgoingLocalAddress]).to.equal(1);
    expect(cells[FirewallCounter.FlowsAdded]).to.equal(3);
    expect(cells[FirewallCounter.ConntrackHits]).to.equal(1);
    const hits = (index: number) => ruleHits([cells, cells], 1, 2, true, index);
    expect([hits(0), hits(1)]).to.deep.equal([2, 4]);
    bench.with(rulesOf({ version: 2 }));
    expect(ruleHits([cells], 1, 2, true, 0)).to.equal(0);
    expect(ruleHits([cells], 2, 2, true, 0)).to.equal(0);
  });

  it('keeps enforcing rules for which it has no counter', () => {
    const inbound = Array.from({ length: 20 }, (_, index) => ({ port: index + 1, proto: 'udp', host: 'any' }));
    const bench = new Bench({ inbound });
    expect(bench.check(udp({ localPort: 20 }), true)).to.equal(Verdict.Rule);
    expect(bench.check(udp({ localPort: 21 }), true)).to.equal(Verdict.NoRule);
  });

  it('uses the cache from the third packet of a flow on', () => {
    const bench = new Bench({ inbound: [anyGroup], cacheMs: 1000 });
    const verdicts = () => [0, 1, 2].map(() => bench.check(udp(), true));
    expect(verdicts()).to.deep.equal([Verdict.Rule, Verdict.Conntrack, Verdict.Conntrack]);
    bench.cache.tick(1, 0);
    expect(verdicts()).to.deep.equal([Verdict.Conntrack, Verdict.Cache, Verdict.Cache]);
    bench.cache.tick(2, 1000);
    expect(verdicts()).to.deep.equal([Verdict.Conntrack, Verdict.Cache, Verdict.Cache]);
    bench.cache.beginBatch(5000);
    expect(verdicts()).to.deep.equal([Verdict.Conntrack, Verdict.Conntrack, Verdict.Conntrack]);
    expect(bench.counters[FirewallCounter.CacheHits]).to.equal(4);
    // Two ticks, of which the second found an entry; the count goes on in the firewall of the next rules.
    expect(bench.counters[FirewallCounter.CacheEmptyings]).to.equal(1);
    bench.with(rulesOf({ inbound: [anyGroup], version: 2 }));
    bench.cache.tick(3, 6000);
    expect(verdicts()).to.deep.equal([Verdict.Conntrack, Verdict.Cache, Verdict.Cache]);
    bench.cache.tick(4, 7000);
    expect(verdicts()).to.deep.equal([Verdict.Conntrack, Verdict.Cache, Verdict.Cache]);
    expect(bench.counters[FirewallCounter.CacheEmptyings]).to.equal(2);
  });
});
