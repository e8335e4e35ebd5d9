/**
 * The usual experiment: two nodes in two namespaces, joined by one cable, that know each other's endpoint.
 * The left one is 10.86.0.1 on the overlay, the right one 10.86.0.2.
 */
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import { type NodeOptions, TestNode, UNDERLAY_PORT } from './nodes.ts';
import { Pki } from './pki.ts';

export interface PairOptions {
  readonly left?: Partial<NodeOptions>;
  readonly right?: Partial<NodeOptions>;
  /** Of the cable; 4 unless told otherwise. */
  readonly underlay?: 4 | 6;
  readonly cableMtu?: number;
  /** Begins the lab's names. */
  readonly labKind?: string;
}

export const LEFT = '10.86.0.1';
export const RIGHT = '10.86.0.2';

export class Pair {
  readonly lab: Lab;
  readonly pki: Pki;
  readonly left: TestNode;
  readonly right: TestNode;

  /** Namespaces, cable and certificates exist afterwards; no node runs yet. */
  constructor(options: PairOptions = {}) {
    this.lab = new Lab(options.labKind ?? 't');
    try {
      const six = options.underlay === 6;
      const cable = six ? ['fd86::1', 'fd86::2'] : ['192.0.2.1', '192.0.2.2'];
      const bits = six ? 64 : 24;
      const [a, b] = [this.lab.namespace('left'), this.lab.namespace('right')];
      this.lab.cable(
        { namespace: a, addresses: [`${cable[0]}/${bits}`] },
        { namespace: b, addresses: [`${cable[1]}/${bits}`] },
        options.cableMtu === undefined ? {} : { mtu: options.cableMtu },
      );
      this.pki = new Pki(this.lab.directory);
      const common = { kind: 'weft', listenHost: six ? '[::]' : '0.0.0.0' } as const;
      const endpoint = (end: string): string => (six ? `[${end}]:${UNDERLAY_PORT}` : `${end}:${UNDERLAY_PORT}`);
      this.left = new TestNode(this.lab, a, {
        ...common,
        files: this.pki.sign('left', `${LEFT}/24`),
        staticHosts: { [RIGHT]: [endpoint(cable[1])] },
        ...options.left,
      });
      this.right = new TestNode(this.lab, b, {
        ...common,
        files: this.pki.sign('right', `${RIGHT}/24`),
        staticHosts: { [LEFT]: [endpoint(cable[0])] },
        ...options.right,
      });
    } catch (error) {
      this.lab.close();
      throw error;
    }
  }

  /** Starts both nodes and returns when both carry packets. */
  async start(): Promise<void> {
    await Promise.all([this.left.start(), this.right.start()]);
  }

  close(): void {
    this.lab.close();
  }
}
