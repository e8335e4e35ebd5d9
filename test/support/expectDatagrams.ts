/**
 * A stream of UDP datagrams through a tunnel must arrive, all but one in a hundred.
 *
 * A program that the machine leaves without a processor for 50 ms loses datagrams at the full buffer of a socket or of a
 * device, whatever node carries them. The kernel counts those, so they are told apart from datagrams that a node lost, and
 * the limit holds for the latter.
 */
import { expect } from 'chai';
import type { Lab } from '../../src/primary/cli/demo/lab.ts';
import { kernelDrops } from './kernelErrors.ts';
import type { TestNode } from './nodes.ts';
import { stream } from './traffic.ts';

export interface DatagramStream {
  readonly from: TestNode;
  readonly to: TestNode;
  /** Overlay address of `to`. */
  readonly address: string;
  readonly bitsPerSecond: number;
}

/** One second of datagrams of 1200 bytes. */
export async function expectDatagrams(lab: Lab, { from, to, address, bitsPerSecond }: DatagramStream): Promise<void> {
  const pids = [from, to].map((node) => node.program.pid);
  const before = pids.map(kernelDrops);
  const run = { seconds: 1, udpBitsPerSecond: bitsPerSecond };
  const udp = await stream(lab, from.namespace, to.namespace, address, run);
  expect(udp.packets).to.be.greaterThan((0.75 * bitsPerSecond) / (1200 * 8));
  expect(udp.lostPackets / udp.packets, 'share of lost datagrams').to.be.lessThan(0.25);

  const dropped = pids.map((pid, end) => kernelDrops(pid) - before[end]);
  const lostByNodes = udp.lostPackets - dropped[0] - dropped[1];
  const told = `share lost by the nodes (${udp.lostPackets} of ${udp.packets} lost, ${dropped.join(' + ')} at full queues)`;
  expect(lostByNodes / udp.packets, told).to.be.lessThan(0.01);
}
