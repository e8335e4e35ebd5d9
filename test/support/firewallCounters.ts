/** The firewall counters of a running weft node: what each worker has counted, as `nodeMemory.ts` reads it. */
import { until } from '../../src/primary/cli/demo/until.ts';
import { FirewallCounter } from '../../src/shared/memory/firewallCounters.ts';
import { NodeMemory } from './nodeMemory.ts';
import type { TestNode } from './nodes.ts';

export type CounterName = keyof typeof FirewallCounter;

export class NodeCounters {
  readonly #memory: NodeMemory;
  readonly #name: string;

  constructor(node: TestNode) {
    this.#name = node.name;
    this.#memory = new NodeMemory(node.program.pid, ({ firewallCounters }) => firewallCounters);
  }

  /** One number per worker. */
  read(counter: CounterName): number[] {
    return this.#memory.read(FirewallCounter[counter]);
  }

  total(counter: CounterName): number {
    return this.read(counter).reduce((sum, count) => sum + count, 0);
  }

  /** Returns when every worker has taken over the rules of at least this version; a node starts with 1. */
  async untilRules(version: number): Promise<void> {
    await until(`rules ${version} in every worker of ${this.#name}`, () =>
      this.read('RulesVersion').every((inForce) => inForce >= version),
    );
  }

  close(): void {
    this.#memory.close();
  }
}
