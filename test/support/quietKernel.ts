/**
 * A kernel that has nothing to say on a device: what comes in over it is dropped before any socket or ICMP answer, so
 * that a test which injects packets hears only the nodes. Taps (AF_PACKET) still see everything.
 */
import type { Lab, Namespace } from '../../src/primary/cli/demo/lab.ts';

/** Needs `nft`. */
export async function quietKernel(lab: Lab, namespace: Namespace, device: string): Promise<void> {
  const rules = [
    'add table inet quiet',
    'add chain inet quiet input { type filter hook input priority 0; policy accept; }',
    `add rule inet quiet input iifname "${device}" drop`,
  ];
  const program = lab.start(namespace, ['nft', '-f', '-'], { input: `${rules.join('\n')}\n` });
  const status = await program.exited;
  if (status.code !== 0) {
    throw new Error(`nft: ${program.lines.join('; ')}`);
  }
}
