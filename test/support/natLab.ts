/**
 * A small internet: a lighthouse on a public segment, and hosts behind home routers that differ in how they translate.
 *
 *   lighthouse 198.51.100.1 ──┐
 *   host1 192.168.1.2 ── router1 198.51.100.11 ──┤ public segment
 *   host2 192.168.2.2 ── router2 198.51.100.12 ──┤
 *   ...
 *
 * On the overlay the lighthouse is 10.87.0.100 and host n is 10.87.0.n. There is no route between hosts but through their
 * routers, and nothing relays: who gets an answer has a tunnel of its own.
 */
import { spawnSync } from 'node:child_process';
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { type ConfigTree, type NodeOptions, TestNode, UNDERLAY_PORT } from './nodes.ts';
import { Pki } from './pki.ts';

/**
 * `restricted`: one public port for all destinations, lets in only who was sent to; what most home routers do.
 * `open`: the same port for all, lets everybody in. `symmetric`: another random port for every destination.
 */
export type NatKind = 'restricted' | 'open' | 'symmetric';

export interface NatLabOptions {
  readonly lighthouse: Partial<NodeOptions>;
  /** One host each. */
  readonly hosts: readonly { readonly nat: NatKind; readonly node: Partial<NodeOptions> }[];
  readonly labKind?: string;
}

export const LIGHTHOUSE = '10.87.0.100';
const LIGHTHOUSE_UNDERLAY = '198.51.100.1';

export class NatLab {
  readonly lab: Lab;
  readonly pki: Pki;
  readonly lighthouse: TestNode;
  readonly hosts: readonly TestNode[];
  readonly routers: readonly Namespace[];

  /** Namespaces, routers and certificates exist afterwards; no node runs yet. */
  constructor(options: NatLabOptions) {
    this.lab = new Lab(options.labKind ?? 't');
    try {
      const publicNode = this.lab.namespace('lighthouse');
      this.routers = options.hosts.map((_, index) => this.lab.namespace(`router${index + 1}`));
      this.lab.lan([
        { namespace: publicNode, addresses: [`${LIGHTHOUSE_UNDERLAY}/24`] },
        ...this.routers.map((namespace, index) => ({ namespace, addresses: [`${publicAddress(index + 1)}/24`] })),
      ]);
      this.pki = new Pki(this.lab.directory);
      this.lighthouse = new TestNode(this.lab, publicNode, {
        kind: 'weft',
        files: this.pki.sign('lighthouse', `${LIGHTHOUSE}/24`),
        ...options.lighthouse,
        config: {
          ...options.lighthouse.config,
          lighthouse: { am_lighthouse: true, ...treeAt(options.lighthouse, 'lighthouse') },
        },
      });
      this.hosts = options.hosts.map(({ nat, node }, index) => this.#host(index + 1, nat, node));
    } catch (error) {
      this.lab.close();
      throw error;
    }
  }

  /** Starts all nodes and returns when all carry packets. */
  async start(): Promise<void> {
    await Promise.all([this.lighthouse, ...this.hosts].map((node) => node.start()));
  }

  /** What router `number` has translated, as the kernel tells: one line for each flow. */
  flows(number: number): string[] {
    return run(['ip', 'netns', 'exec', this.routers[number - 1].name, 'cat', '/proc/net/nf_conntrack']).split('\n');
  }

  close(): void {
    this.lab.close();
  }

  #host(number: number, nat: NatKind, node: Partial<NodeOptions>): TestNode {
    const namespace = this.lab.namespace(`host${number}`);
    const router = this.routers[number - 1];
    this.lab.cable(
      { namespace: router, addresses: [`192.168.${number}.1/24`] },
      { namespace, addresses: [`${privateAddress(number)}/24`] },
      { device: 'home0' },
    );
    run(['ip', '-n', namespace.name, 'route', 'add', 'default', 'via', `192.168.${number}.1`]);
    run(['ip', 'netns', 'exec', router.name, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    run(['ip', 'netns', 'exec', router.name, 'nft', '-f', '-'], rulesOf(number, nat));
    return new TestNode(this.lab, namespace, {
      kind: 'weft',
      files: this.pki.sign(`host${number}`, `${overlayAddress(number)}/24`),
      staticHosts: { [LIGHTHOUSE]: [`${LIGHTHOUSE_UNDERLAY}:${UNDERLAY_PORT}`] },
      ...node,
      config: {
        ...node.config,
        lighthouse: { hosts: [LIGHTHOUSE], interval: 2, ...treeAt(node, 'lighthouse') },
        punchy: { punch: true, delay: '100ms', ...treeAt(node, 'punchy') },
      },
    });
  }
}

export function overlayAddress(host: number): string {
  return `10.87.0.${host}`;
}

export function publicAddress(host: number): string {
  return `198.51.100.${10 + host}`;
}

export function privateAddress(host: number): string {
  return `192.168.${host}.2`;
}

/**
 * A router drops what nobody inside has asked for. Without that rule Linux would remember the refused packet as a flow of
 * its own and give the host another port when it answers.
 */
function rulesOf(number: number, nat: NatKind): string {
  const forward = `iifname "cable0" udp dport ${UNDERLAY_PORT} dnat to ${privateAddress(number)}`;
  return `
    table ip home {
      chain forwarded {
        type nat hook prerouting priority dstnat
        ${nat === 'open' ? forward : ''}
      }
      chain translated {
        type nat hook postrouting priority srcnat
        oifname "cable0" masquerade ${nat === 'symmetric' ? 'fully-random' : ''}
      }
      chain unasked {
        type filter hook input priority filter
        iifname "cable0" ct state new drop
      }
    }
  `;
}

function treeAt(options: Partial<NodeOptions>, key: string): ConfigTree {
  return (options.config?.[key] ?? {}) as ConfigTree;
}

function run(words: readonly string[], input?: string): string {
  const done = spawnSync(words[0], words.slice(1), { encoding: 'utf8', ...(input === undefined ? {} : { input }) });
  if (done.status !== 0) {
    throw new Error(`${words.join(' ')} failed: ${done.stderr}`);
  }
  return done.stdout;
}
