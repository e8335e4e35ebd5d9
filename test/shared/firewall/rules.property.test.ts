import { expect } from 'chai';
import { describe, it } from 'mocha';
import { explain } from '../../../src/primary/inspection/explain.ts';
import { Verdict } from '../../../src/shared/firewall/verdict.ts';
import { Random } from '../../support/random.ts';
import { type CertificateSpec, ownIdentity, peerView, rulesOf, type TupleSpec, tupleOf } from './certificates.ts';
import { type RawRule, type ReferenceVerdict, referenceVerdict, type World } from './reference.ts';

const addresses = ['10.1.0.1', '10.1.0.2', '10.1.9.3', '10.2.0.1', '192.168.7.9', '192.168.8.1', '203.0.113.5'];
const addresses6 = ['fd42::1', 'fd42::2', 'fd42:0:0:1::2', 'fd77::9', '2001:db8::1'];
const networkBits = [8, 16, 24];
const cidrs = [
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.0.2/32',
  '192.168.0.0/16',
  '192.168.7.0/24',
  '0.0.0.0/0',
  '10.1.0.3/31',
];
const cidrs6 = ['fd42::/64', 'fd42::/16', 'fd77::/48', '::/0', 'fd42::2/128', '2001:db8::/33'];
const names = ['alpha', 'beta', 'any'];
const groups = ['web', 'db', 'ops', 'any'];
const ports = [
  'any',
  '0',
  '1',
  '80',
  '443',
  '80-90',
  '85-100',
  '0-9',
  '1-65535',
  '65535',
  'fragment',
  '443-8080',
  ' 5 - 6 ',
];
const portNumbers = [0, 1, 5, 6, 7, 79, 80, 84, 85, 90, 91, 100, 443, 444, 8080, 8081, 65534, 65535];
const protocols = [6, 17, 1, 58, 47, 132];

function maybe<T>(random: Random, chance: number, value: () => T): T | undefined {
  return random.below(100) < chance ? value() : undefined;
}

function some<T>(random: Random, items: readonly T[], most: number): T[] {
  return Array.from({ length: random.below(most + 1) }, () => random.pick(items));
}

function randomCertificate(random: Random): CertificateSpec {
  const networks = [`${random.pick(addresses.slice(0, 4))}/${random.pick(networkBits)}`];
  if (random.below(3) === 0) {
    networks.push(`${random.pick(addresses6.slice(0, 4))}/64`);
  }
  if (random.below(4) === 0) {
    networks.push(`${random.pick(addresses.slice(0, 4))}/16`);
  }
  return {
    name: random.pick(names.slice(0, 2)),
    networks,
    unsafeNetworks: random.below(3) === 0 ? some(random, [...cidrs, ...cidrs6], 2) : [],
    groups: some(random, groups.slice(0, 3), 3),
    issuer: random.pick(['ca-one', 'ca-two', 'ca-gone']),
  };
}

function randomRule(random: Random): RawRule {
  const rule: Record<string, unknown> = {
    proto: random.pick(['any', 'tcp', 'udp', 'icmp']),
    port: random.pick(ports),
    host: maybe(random, 25, () => random.pick(names)),
    cidr: maybe(random, 30, () => random.pick([...cidrs, ...cidrs6, 'any'])),
    local_cidr: maybe(random, 25, () => random.pick([...cidrs, ...cidrs6, 'any'])),
    ca_name: maybe(random, 12, () => random.pick(['One', 'Two', 'Three'])),
    ca_sha: maybe(random, 12, () => random.pick(['ca-one', 'ca-two', 'ca-gone'])),
  };
  if (random.bool()) {
    rule['group'] = maybe(random, 40, () => random.pick(groups));
  } else {
    rule['groups'] = maybe(random, 40, () => [...some(random, groups.slice(0, 3), 2), random.pick(groups)]);
  }
  const entries = Object.entries(rule).filter(([, value]) => value !== undefined);
  return (entries.length > 2 ? Object.fromEntries(entries) : { ...rule, host: 'any' }) as unknown as RawRule;
}

function cleaned(rule: RawRule): RawRule {
  return Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)) as unknown as RawRule;
}

function randomWorld(random: Random): World {
  const count = random.pick([0, 1, 3, 8, 20]);
  return {
    own: randomCertificate(random),
    peer: randomCertificate(random),
    caNames: { 'ca-one': 'One', 'ca-two': 'Two' },
    inbound: Array.from({ length: count }, () => cleaned(randomRule(random))),
    outbound: Array.from({ length: random.below(count + 1) }, () => cleaned(randomRule(random))),
    defaultLocalCidrAny: random.below(4) === 0,
  };
}

/** Mostly addresses that the certificates allow, so that most packets reach the rules. */
function randomPacket(random: Random, world: World): Required<TupleSpec> {
  const isIpv6 = random.below(3) === 0;
  const pool = isIpv6 ? addresses6 : addresses;
  const ofFamily = (networks: readonly string[]) =>
    networks.map((network) => network.split('/')[0]).filter((address) => address.includes(':') === isIpv6);
  const side = (networks: readonly string[]) =>
    random.below(10) < 8 && ofFamily(networks).length > 0 ? random.pick(ofFamily(networks)) : random.pick(pool);
  const isFragment = random.below(8) === 0;
  return {
    local: side(world.own.networks),
    remote: side(world.peer.networks),
    protocol: random.pick(protocols),
    localPort: isFragment ? 0 : random.pick(portNumbers),
    remotePort: isFragment ? 0 : random.pick(portNumbers),
    isFragment,
  };
}

function verdictOf(reference: ReferenceVerdict): Verdict {
  const verdicts = { remote: Verdict.RemoteAddress, peer: Verdict.PeerAddress, local: Verdict.LocalAddress } as const;
  return typeof reference === 'string' ? verdicts[reference] : reference < 0 ? Verdict.NoRule : Verdict.Rule;
}

describe('compiled firewall rules', function () {
  this.timeout(20_000);

  it('agree with a naive evaluator, and with the explanation, on random rules, certificates and packets', () => {
    const random = new Random(20261123);
    const seen = new Map<string, number>();
    for (let round = 0; round < 1200; round++) {
      const world = randomWorld(random);
      const own = ownIdentity(world.own, world.caNames);
      const view = peerView(world.peer, own);
      const peer = view.identity;
      const table = rulesOf(world);
      const rules = view.rulesOf(table);
      for (let packetNumber = 0; packetNumber < 20; packetNumber++) {
        const packet = randomPacket(random, world);
        const tuple = tupleOf(packet);
        const incoming = random.bool();
        const expected = referenceVerdict(world, packet, incoming);
        const context = () => JSON.stringify({ world, packet, incoming });
        seen.set(String(expected), (seen.get(String(expected)) ?? 0) + 1);
        const remote = peer.checkRemote(tuple);
        const actual = remote < 0 ? remote : own.isLocal(tuple) ? rules.match(tuple, incoming) : Verdict.LocalAddress;
        if (actual !== (typeof expected === 'string' ? verdictOf(expected) : expected)) {
          expect.fail(`${actual} instead of ${expected}: ${context()}`);
        }
        if (packetNumber < 3) {
          const explanation = explain(tuple, peer, own, table, incoming, null);
          const explainedRule = explanation.rule?.index ?? -1;
          if (
            explanation.verdict !== verdictOf(expected) ||
            explanation.allowed !== explanation.verdict >= 0 ||
            explainedRule !== (typeof expected === 'string' ? -1 : expected)
          ) {
            expect.fail(
              `explained as ${explanation.verdict}, rule ${explainedRule} instead of ${expected}: ${context()}`,
            );
          }
        }
      }
    }
    // Every outcome was really met, often.
    for (const outcome of ['remote', 'peer', 'local', '-1', '0', '1', '2']) {
      expect(seen.get(outcome), outcome).to.be.above(150);
    }
  });

  it('keep their order however ranges overlap', () => {
    const random = new Random(5);
    for (let round = 0; round < 200; round++) {
      const inbound = Array.from({ length: 30 }, (): RawRule => {
        const start = random.below(300);
        const cidr = random.pick(['10.1.0.0/17', '10.1.128.0/17', '10.1.0.0/16', '10.1.0.0/18']);
        return { proto: 'tcp', port: `${start}-${start + random.below(100)}`, cidr };
      });
      const own = { networks: ['10.1.0.1/16'] };
      const peer = { networks: ['10.1.0.2/16'], unsafeNetworks: ['10.1.0.0/16'] };
      const world: World = { own, peer, caNames: {}, inbound, outbound: [], defaultLocalCidrAny: false };
      const ownSide = ownIdentity(own);
      const rules = peerView(peer, ownSide).rulesOf(rulesOf({ inbound }));
      for (let packetNumber = 0; packetNumber < 30; packetNumber++) {
        const remote = `10.1.${random.below(256)}.${random.below(256)}`;
        const ends = { localPort: random.below(420), remotePort: 9, protocol: 6, isFragment: false };
        const packet = { local: '10.1.0.1', remote, ...ends };
        const expected = referenceVerdict(world, packet, true);
        if (rules.match(tupleOf(packet), true) !== expected) {
          expect.fail(`not ${expected}: ${JSON.stringify({ inbound, packet })}`);
        }
      }
    }
  });
});
