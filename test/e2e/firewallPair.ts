/**
 * Two running weft nodes whose firewall rules a test changes as an operator does: file, SIGHUP, and wait until every
 * worker has them. Both speak IPv4 and IPv6 on the overlay; the left one is in the group `ops`.
 */
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { CertTool } from '../support/certTool.ts';
import { NodeCounters } from '../support/firewallCounters.ts';
import { type ConfigTree, TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { LEFT, RIGHT } from '../support/pair.ts';

export const LEFT6 = 'fd00:86::1';
export const RIGHT6 = 'fd00:86::2';

export const ANY = [{ port: 'any', proto: 'any', host: 'any' }];
export const ICMP = { port: 'any', proto: 'icmp', host: 'any' };

/** What `TestNode` writes unless told otherwise. */
const ALLOWS_ALL = JSON.stringify({ inbound: ANY, outbound: ANY });

export interface FirewallPairOptions {
  readonly routines?: number;
  /** Of both nodes, merged over what `TestNode` writes. */
  readonly config?: ConfigTree;
}

export interface FirewallSide {
  readonly node: TestNode;
  readonly namespace: Namespace;
  readonly counters: NodeCounters;
}

export class FirewallPair {
  readonly lab: Lab = new Lab('t');
  readonly #certificates = new CertTool(0, true);
  readonly #sides: FirewallSide[] = [];
  readonly #inForce = new Map<FirewallSide, { text: string; version: number }>();

  /** Both nodes carry packets afterwards, under rules that allow everything. Throws with nothing left behind. */
  static async open(options: FirewallPairOptions = {}): Promise<FirewallPair> {
    const pair = new FirewallPair();
    try {
      await pair.#start(options);
      return pair;
    } catch (error) {
      pair.close();
      throw error;
    }
  }

  get left(): FirewallSide {
    return this.#sides[0];
  }

  get right(): FirewallSide {
    return this.#sides[1];
  }

  /** Puts a `firewall` section into force, merged over rules that allow everything; `undefined` takes a key out. */
  async apply(side: FirewallSide, firewall: ConfigTree): Promise<void> {
    const text = JSON.stringify({ inbound: ANY, outbound: ANY, ...firewall });
    const { text: present, version } = this.#inForce.get(side) ?? { text: ALLOWS_ALL, version: 1 };
    if (text === present) {
      return;
    }
    side.node.writeConfig({ firewall });
    side.node.program.signal('SIGHUP');
    await side.counters.untilRules(version + 1);
    this.#inForce.set(side, { text, version: version + 1 });
  }

  close(): void {
    for (const { counters } of this.#sides) {
      counters.close();
    }
    this.lab.close();
    this.#certificates.remove();
  }

  async #start(options: FirewallPairOptions): Promise<void> {
    const namespaces = ['left', 'right'].map((label) => this.lab.namespace(label));
    const ends = namespaces.map((namespace, index) => ({ namespace, addresses: [`192.0.2.${index + 1}/24`] }));
    this.lab.cable(ends[0], ends[1]);
    const authority = await this.#certificates.makeCa('ca');
    const left = await this.#node(namespaces[0], options, {
      ...{ own: [LEFT, LEFT6], others: [RIGHT, RIGHT6], endpoint: `192.0.2.2:${UNDERLAY_PORT}` },
      flags: ['-groups', 'ops', ...authority],
    });
    const right = await this.#node(namespaces[1], options, {
      ...{ own: [RIGHT, RIGHT6], others: [LEFT, LEFT6], endpoint: `192.0.2.1:${UNDERLAY_PORT}` },
      flags: authority,
    });
    await Promise.all([left.start(), right.start()]);
    for (const [index, node] of [left, right].entries()) {
      this.#sides.push({ node, namespace: namespaces[index], counters: new NodeCounters(node) });
    }
  }

  async #node(
    namespace: Namespace,
    options: FirewallPairOptions,
    plan: {
      readonly own: readonly string[];
      readonly others: readonly string[];
      readonly endpoint: string;
      readonly flags: readonly string[];
    },
  ): Promise<TestNode> {
    const name = namespace.label;
    const networks = `${plan.own[0]}/24,${plan.own[1]}/64`;
    const outputs = this.#certificates.outputs(name);
    await this.#certificates.must(['sign', '-name', name, '-networks', networks, ...plan.flags, ...outputs]);
    const [ca, cert, key] = ['ca.crt', `${name}.crt`, `${name}.key`].map((file) => this.#certificates.path(file));
    return new TestNode(this.lab, namespace, {
      kind: 'weft',
      files: { ca, cert, key },
      staticHosts: Object.fromEntries(plan.others.map((other) => [other, [plan.endpoint]])),
      ...(options.routines === undefined ? {} : { routines: options.routines }),
      ...(options.config === undefined ? {} : { config: options.config }),
    });
  }
}
