/**
 * A stream of UDP datagrams through a tunnel must arrive, all but one in a hundred.
 *
 * A program that the machine leaves without a processor for 50 ms loses datagrams at the full buffer of a socket or of a
 * device, whatever node carries them. The kernel counts those, so they are told apart from datagrams that a node lost, and
 * the limit holds for the latter. A batch that the kernel drops counts as one there, so a transfer that met a full queue,
 * or that was stopped at its source, is made again; of the last one everything holds.
 */
import { expect } from 'chai';
import type { Lab } from '../../src/primary/cli/demo/lab.ts';
import { kernelDrops } from './kernelErrors.ts';
import type { TestNode } from './nodes.ts';
import { type StreamResult, stream } from './traffic.ts';

const ATTEMPTS = 3;

export interface DatagramStream {
  readonly from: TestNode;
  readonly to: TestNode;
  /** Overlay address of `to`. */
  readonly address: string;
  readonly bitsPerSecond: number;
}

/** One second of datagrams of 1200 bytes. */
export async function expectDatagrams(lab: Lab, route: DatagramStream): Promise<void> {
  const enough = (0.75 * route.bitsPerSecond) / (1200 * 8);
  let [udp, dropped] = await transfer(lab, route);
  for (let attempt = 1; attempt < ATTEMPTS && (dropped[0] + dropped[1] > 0 || udp.packets <= enough); attempt++) {
    [udp, dropped] = await transfer(lab, route);
  }
  expect(udp.packets).to.be.greaterThan(enough);
  expect(udp.lostPackets / udp.packets, 'share of lost datagrams').to.be.lessThan(0.25);

  const lostByNodes = udp.lostPackets - dropped[0] - dropped[1];
  const told = `share lost by the nodes (${udp.lostPackets} of ${udp.packets} lost, ${dropped.join(' + ')} at full queues)`;
  expect(lostByNodes / udp.packets, told).to.be.lessThan(0.01);
}

/** One transfer, and how many packets found a queue full at either end meanwhile. */
async function transfer(
  lab: Lab,
  { from, to, address, bitsPerSecond }: DatagramStream,
): Promise<[StreamResult, number[]]> {
  const pids = [from, to].map((node) => node.program.pid);
  const before = pids.map(kernelDrops);
  const run = { seconds: 1, udpBitsPerSecond: bitsPerSecond };
  const udp = await stream(lab, from.namespace, to.namespace, address, run);
  return [udp, pids.map((pid, end) => kernelDrops(pid) - before[end])];
}
