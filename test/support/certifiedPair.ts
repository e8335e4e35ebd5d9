/**
 * Two weft nodes whose certificates and settings a test chooses: the usual pair, with IPv4 and IPv6 overlay addresses and
 * checks once a second.
 */
import type { ConfigTree, TestNode } from './nodes.ts';
import { LEFT, Pair, type PairOptions, RIGHT } from './pair.ts';
import type { NodeFiles } from './pki.ts';

export const LEFT_6 = 'fd86:86::1';
export const RIGHT_6 = 'fd86:86::2';
export const NETWORKS = {
  left: `${LEFT}/24`,
  right: `${RIGHT}/24`,
  leftBoth: `${LEFT}/24,${LEFT_6}/64`,
  rightBoth: `${RIGHT}/24,${RIGHT_6}/64`,
} as const;

export interface End {
  readonly files: NodeFiles;
  readonly config?: ConfigTree;
}

/** As `pki.files` of a configuration. */
export function filesOf(ca: string, key: { readonly key: string }, cert: string): NodeFiles {
  return { ca, cert, key: key.key };
}

/** The namespaces first, because certificates go into the lab's directory; `start` runs the nodes. */
export class CertifiedPair {
  readonly pair: Pair;
  readonly #underlay: 4 | 6;

  constructor(options: Pick<PairOptions, 'underlay'> = {}) {
    this.#underlay = options.underlay ?? 4;
    this.pair = new Pair(options);
  }

  async start(left: End, right: End): Promise<void> {
    const [leftEnd, rightEnd] =
      this.#underlay === 6 ? ['[fd86::1]:4242', '[fd86::2]:4242'] : ['192.0.2.1:4242', '192.0.2.2:4242'];
    const common: ConfigTree = { timers: { connection_alive_interval: 1, pending_deletion_interval: 2 } };
    await Promise.all([
      this.pair.left.start({
        files: left.files,
        staticHosts: { [RIGHT]: [rightEnd], [RIGHT_6]: [rightEnd] },
        config: { ...common, ...left.config },
      }),
      this.pair.right.start({
        files: right.files,
        staticHosts: { [LEFT]: [leftEnd], [LEFT_6]: [leftEnd] },
        config: { ...common, ...right.config },
      }),
    ]);
  }

  close(): void {
    this.pair.close();
  }
}

/** Gives the node other settings and makes it read them; returns where its log stood before. */
export function reload(node: TestNode, changes: ConfigTree): number {
  const mark = node.lines.length;
  node.writeConfig(changes);
  node.program.signal('SIGHUP');
  return mark;
}
