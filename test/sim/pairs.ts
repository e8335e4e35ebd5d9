/** Two nodes that know each other, and what the scenarios ask them. */
import { expect } from 'chai';
import type { NetworkQuality } from './network.ts';
import type { SimNode } from './simNode.ts';
import { type NodeWishes, World } from './world.ts';

export interface Pair {
  readonly world: World;
  readonly a: SimNode;
  readonly b: SimNode;
}

export function pair(seed: number, wishesA: NodeWishes = {}, wishesB: NodeWishes = {}, quality?: NetworkQuality): Pair {
  const world = new World(seed, quality);
  const a = world.addNode('alpha', wishesA);
  const b = world.addNode('beta', wishesB);
  world.introduceAll();
  return { world, a, b };
}

export function connected(seed: number, wishesA: NodeWishes = {}, wishesB: NodeWishes = {}): Pair {
  const all = pair(seed, wishesA, wishesB);
  all.world.ping(all.a, all.b, 'first');
  all.world.run(100);
  all.world.ping(all.b, all.a, 'back');
  all.world.run(100);
  return all;
}

export function lastText(node: SimNode): string {
  return node.delivered.at(-1)?.text ?? '';
}

export function reasons(node: SimNode): string[] {
  return node.effects.flatMap((effect) => (effect.kind === 'tunnelClosed' ? [effect.reason] : []));
}

export function tunnelCount(node: SimNode): number {
  return node.control.hosts().length;
}

/** Both sides talk, at every `intervalMs`. */
export function talk({ world, a, b }: Pair, durationMs: number, intervalMs: number = 500): void {
  world.runWith(durationMs, intervalMs, () => {
    world.ping(a, b, `from a at ${world.nowMs}`);
    world.ping(b, a, `from b at ${world.nowMs}`);
  });
}

/** The same tunnel, seen from both sides. */
export function expectOnePrimary({ a, b }: Pair): void {
  const seenByA = a.control.primary(b.vpnAddress);
  const seenByB = b.control.primary(a.vpnAddress);
  expect(seenByA?.localIndex).to.equal(seenByB?.remoteIndex);
  expect(seenByA?.remoteIndex).to.equal(seenByB?.localIndex);
}
