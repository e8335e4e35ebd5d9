/**
 * The experiment of `interop/firewall.test.ts`: weft and nebula under the same rules, five nebula peers, a tap on each.
 *
 * All is FIFO: one queue per node and one tunnel per pair, so a packet that is allowed by every rule set (`beacon`) and
 * comes out marks that everything put in before it has been decided.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { NodeCounters } from '../support/firewallCounters.ts';
import { buildFirewallPacket, readFirewallPacket } from '../support/firewallPackets.ts';
import { PacketTap } from '../support/firewallTap.ts';
import { type NodeKind, OVERLAY_DEVICE, TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { type NodeFiles, Pki } from '../support/pki.ts';
import { quietKernel } from '../support/quietKernel.ts';
import { type Cast, type FirewallCase, FirewallCases, type FirewallRule, type RuleSet } from './firewallCases.ts';

/** What both made of one packet under one rule set: true when it came out. */
export interface Seen {
  readonly set: number;
  readonly packet: FirewallCase;
  readonly rules: readonly FirewallRule[];
  readonly weft: boolean;
  readonly nebula: boolean;
}

/** A node whose firewall is under test. */
interface Judge {
  readonly node: TestNode;
  readonly tap: PacketTap;
  readonly address: string;
  readonly unsafeAddress: string;
}

interface Peer {
  readonly node: TestNode;
  readonly tap: PacketTap;
  readonly address: string;
}

interface Actor {
  readonly label: string;
  readonly kind: NodeKind;
  readonly host: number;
  readonly files: NodeFiles;
  readonly routes?: readonly { readonly route: string; readonly via: string }[];
}

const JUDGES = ['weft', 'nebula'] as const;
/** Certificate name, groups, whether the second CA signs; the gateway has an unsafe network too. */
const PEERS = [
  { label: 'p0', name: 'alpha', groups: ['ops'], isSecond: false },
  { label: 'p1', name: 'beta', groups: ['ops', 'web'], isSecond: false },
  { label: 'p2', name: 'gamma', groups: [], isSecond: true },
  { label: 'p3', name: 'delta', groups: ['web', 'db'], isSecond: true, unsafeNetworks: ['10.99.3.0/24'] },
  { label: 'p4', name: 'alpha', groups: ['ops'], isSecond: true },
] as const;
const GATEWAY = 3;
const FIRST_PEER_HOST = 11;
const UNSAFE_REMOTE = '10.99.3.7';
/** Routed to the gateway, but not in its certificate. */
const STRAY_REMOTE = '10.99.9.9';
const STRAY_LOCAL = '10.78.0.5';
const BEACON: FirewallRule = { port: 20_000, proto: 'udp', host: 'any' };
const BEACON_MARK = 60_000;

const overlay = (host: number): string => `10.86.0.${host}`;
const underlay = (host: number): string => `192.0.2.${host}`;

export class Contest {
  readonly #lab: Lab;
  readonly #cases: FirewallCases;
  readonly #judges: readonly Judge[];
  readonly #peers: readonly Peer[];
  readonly #counters: NodeCounters;
  #rules: RuleSet = { inbound: [], outbound: [] };
  #set = 0;
  #mark = 0;
  #beacons = 0;

  constructor(lab: Lab, cases: FirewallCases, judges: readonly Judge[], peers: readonly Peer[]) {
    this.#lab = lab;
    this.#cases = cases;
    this.#judges = judges;
    this.#peers = peers;
    this.#counters = new NodeCounters(judges[0].node);
  }

  /** Gives both the next rule set and returns when both act on it. */
  async install(): Promise<void> {
    const { inbound, outbound } = this.#cases.ruleSet();
    this.#rules = { inbound: [...inbound, BEACON], outbound: [...outbound, BEACON] };
    this.#set++;
    const [weft, nebula] = this.#judges.map(({ node }) => node);
    const mark = nebula.lines.length;
    for (const node of [weft, nebula]) {
      node.writeConfig({ firewall: this.#rules });
      node.program.signal('SIGHUP');
    }
    await nebula.program.waitForLine(/New firewall has been installed/, 10_000, mark);
    await this.#counters.untilRules(this.#set + 1);
  }

  /** Puts `count` packets through both, first to last, and returns what came out. */
  async run(incoming: boolean, count: number): Promise<Seen[]> {
    const packets = this.#cases.packets(incoming, count);
    const first = this.#mark + 1;
    for (const packet of packets) {
      this.#mark++;
      for (const judge of this.#judges) {
        this.#inject(packet, judge);
      }
    }
    const out = await this.#settle(incoming);
    return packets.map((packet, index) => {
      const [weft, nebula] = this.#judges.map((judge) => out.has(this.#markOf(first + index, judge)));
      const rules = incoming ? this.#rules.inbound : this.#rules.outbound;
      return { set: this.#set, packet, rules, weft, nebula };
    });
  }

  close(): void {
    this.#counters.close();
    for (const { tap } of [...this.#judges, ...this.#peers]) {
      tap.close();
    }
    this.#lab.close();
  }

  #inject(packet: FirewallCase, judge: Judge): void {
    const peer = this.#peers[packet.peer];
    const remote = { own: peer.address, unsafe: UNSAFE_REMOTE, stray: STRAY_REMOTE }[packet.remote];
    const local = { own: judge.address, unsafe: judge.unsafeAddress, stray: STRAY_LOCAL }[packet.local];
    const isEcho = packet.protocol === 1;
    const bytes = buildFirewallPacket({
      source: packet.incoming ? remote : local,
      destination: packet.incoming ? local : remote,
      protocol: packet.protocol,
      sourcePort: packet.incoming || isEcho ? packet.remotePort : packet.localPort,
      destinationPort: packet.incoming ? packet.localPort : packet.remotePort,
      mark: this.#markOf(this.#mark, judge),
      ...(packet.isFragment ? { fragmentOffset: 3 } : {}),
    });
    (packet.incoming ? peer.tap : judge.tap).send(bytes);
  }

  /** The same packet of both: marks differ, as the peers see the packets of both. */
  #markOf(number: number, judge: Judge): number {
    return number * 2 + this.#judges.indexOf(judge);
  }

  /** Sends beacons behind everything put in so far until each has come out; returns all marks that did. */
  async #settle(incoming: boolean): Promise<Set<number>> {
    const marks = new Set<number>();
    const waiting = new Map<number, () => void>();
    for (const peer of this.#peers) {
      for (const judge of this.#judges) {
        const mark = BEACON_MARK + (this.#beacons++ % 5_000);
        const [from, to] = incoming ? [peer, judge] : [judge, peer];
        const plan = { source: from.address, destination: to.address, protocol: 17, mark };
        const [sourcePort, destinationPort] = [incoming ? 1 : 2, Number(BEACON.port)];
        const bytes = buildFirewallPacket({ ...plan, sourcePort, destinationPort });
        waiting.set(mark, () => from.tap.send(bytes));
      }
    }
    const receivers = incoming ? this.#judges : this.#peers;
    let nextMs = 0;
    await until(
      `every beacon to pass under rule set ${this.#set}`,
      () => {
        for (const bytes of receivers.flatMap(({ tap }) => tap.take())) {
          const { mark } = readFirewallPacket(bytes);
          waiting.delete(mark);
          marks.add(mark);
        }
        if (waiting.size > 0 && performance.now() >= nextMs) {
          nextMs = performance.now() + 50;
          for (const send of waiting.values()) {
            send();
          }
        }
        return waiting.size === 0;
      },
      20_000,
      2,
    );
    return marks;
  }
}

/** Starts all nodes and shakes all hands. Throws with nothing left behind. */
export async function openContest(seed: number): Promise<Contest> {
  const lab = new Lab('t');
  try {
    const authorities = [new Pki(folder(lab, 'one'), 'ca-one'), new Pki(folder(lab, 'two'), 'ca-two')];
    const bundle = join(lab.directory, 'both.crt');
    writeFileSync(bundle, authorities.map(({ caCert }) => readFileSync(caCert)).join(''));
    const actors = castActors(authorities, bundle);
    const namespaces = actors.map(({ label }) => lab.namespace(label));
    lab.lan(actors.map(({ host }, index) => ({ namespace: namespaces[index], addresses: [`${underlay(host)}/24`] })));
    const nodes = actors.map((actor, index) => {
      const others = actors.filter((other) => other !== actor);
      return new TestNode(lab, namespaces[index], {
        kind: actor.kind,
        files: actor.files,
        staticHosts: Object.fromEntries(
          others.map(({ host }) => [overlay(host), [`${underlay(host)}:${UNDERLAY_PORT}`]]),
        ),
        config: {
          tun: { unsafe_routes: (actor.routes ?? []).map((route) => ({ ...route, mtu: 1300 })) },
          firewall: { default_local_cidr_any: true },
        },
      });
    });
    await Promise.all(nodes.map((node) => node.start()));
    const taps = namespaces.map((namespace) => new PacketTap(namespace, OVERLAY_DEVICE));
    await Promise.all(namespaces.map((each) => quietKernel(lab, each, OVERLAY_DEVICE)));
    const judges = JUDGES.map((_, index) => {
      const common = { address: overlay(index + 1), unsafeAddress: `10.77.${index + 1}.5` };
      return { node: nodes[index], tap: taps[index], ...common };
    });
    const peers = PEERS.map((_, index) => {
      const at = JUDGES.length + index;
      return { node: nodes[at], tap: taps[at], address: overlay(FIRST_PEER_HOST + index) };
    });
    return new Contest(lab, new FirewallCases(seed, castOf(authorities)), judges, peers);
  } catch (error) {
    lab.close();
    throw error;
  }
}

function castActors(authorities: readonly Pki[], ca: string): Actor[] {
  const judges = JUDGES.map((kind, index): Actor => {
    const host = index + 1;
    const options = { groups: ['judges'], unsafeNetworks: [`10.77.${host}.0/24`] };
    const files = { ...authorities[0].sign(`judge-${kind}`, `${overlay(host)}/24`, options), ca };
    const routes = [{ route: '10.99.0.0/16', via: overlay(FIRST_PEER_HOST + GATEWAY) }];
    return { label: kind, kind, host, files, routes };
  });
  const routes = judges.map(({ host }) => ({ route: `10.77.${host}.0/24`, via: overlay(host) }));
  const peers = PEERS.map((plan, index): Actor => {
    const host = FIRST_PEER_HOST + index;
    const options = {
      ...(plan.groups.length > 0 ? { groups: plan.groups } : {}),
      ...('unsafeNetworks' in plan ? { unsafeNetworks: plan.unsafeNetworks } : {}),
    };
    const files = { ...authorities[plan.isSecond ? 1 : 0].sign(plan.name, `${overlay(host)}/24`, options), ca };
    return { label: plan.label, kind: 'nebula', host, files, routes };
  });
  return [...judges, ...peers];
}

function castOf(authorities: readonly Pki[]): Cast {
  return {
    hosts: [...new Set(PEERS.map(({ name }) => name))],
    groups: ['ops', 'web', 'db'],
    cidrs: ['10.86.0.8/29', '10.86.0.12/32', '10.99.3.0/24', '10.86.0.0/24', '10.99.0.0/16'],
    caNames: ['ca-one', 'ca-two'],
    caShas: authorities.map(({ caCert }) => fingerprintOf(caCert)),
    peerCount: PEERS.length,
    gateway: GATEWAY,
  };
}

function fingerprintOf(certificate: string): string {
  const text = execFileSync('nebula-cert', ['print', '-json', '-path', certificate], { encoding: 'utf8' });
  return (JSON.parse(text) as { readonly fingerprint: string }).fingerprint;
}

function folder(lab: Lab, name: string): string {
  const path = join(lab.directory, name);
  mkdirSync(path);
  return path;
}
