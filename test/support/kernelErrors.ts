/**
 * What the kernel of a namespace complains of: bad checksums and other faults of received TCP, UDP, ICMP and IP packets
 * (/proc/net/snmp and snmp6). A full socket buffer is not a fault of a packet: it is taken out of UDP's errors, and counted
 * by itself.
 */
import { readFileSync } from 'node:fs';

export type KernelErrors = { readonly [counter: string]: number };

const FAULTS = /^(?:TcpInErrs|Udp6?InErrors|Ip6?InHdrErrors|\w+InCsumErrors)$/;

/** Of the network namespace in which `pid` runs. */
export function kernelErrors(pid: number): KernelErrors {
  const all = { ...readSnmp(pid), ...readSnmp6(pid) };
  const faults = Object.entries(all).filter(([name]) => FAULTS.test(name));
  return Object.fromEntries(
    faults.map(([name, count]) => {
      const protocol = /^(Udp6?)InErrors$/.exec(name)?.[1];
      return [name, protocol === undefined ? count : count - (all[`${protocol}RcvbufErrors`] ?? 0)];
    }),
  );
}

/**
 * Packets that found a queue full in the network namespace of `pid`: of a UDP socket, or of a device. A batch that a socket
 * was to receive as one (UDP_GRO) counts once.
 */
export function kernelDrops(pid: number): number {
  const all = { ...readSnmp(pid), ...readSnmp6(pid) };
  return (all.UdpRcvbufErrors ?? 0) + (all.Udp6RcvbufErrors ?? 0) + deviceDrops(pid);
}

/** The names of the counters that have grown, with by how much. */
export function newErrors(before: KernelErrors, after: KernelErrors): string[] {
  return Object.keys(after).flatMap((name) => {
    const more = after[name] - (before[name] ?? 0);
    return more > 0 ? [`${name} +${more}`] : [];
  });
}

/** Two lines per protocol: names, then numbers. */
function readSnmp(pid: number): KernelErrors {
  const lines = readFileSync(`/proc/${pid}/net/snmp`, 'latin1').trim().split('\n');
  const counters: { [name: string]: number } = {};
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const [names, numbers] = [lines[index], lines[index + 1]].map((line) => line.split(/\s+/));
    const protocol = names[0].replace(':', '');
    for (let column = 1; column < names.length; column++) {
      counters[`${protocol}${names[column]}`] = Number(numbers[column]);
    }
  }
  return counters;
}

function readSnmp6(pid: number): KernelErrors {
  const lines = readFileSync(`/proc/${pid}/net/snmp6`, 'latin1').trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [name, number] = line.split(/\s+/);
      return [name, Number(number)];
    }),
  );
}

/** Of all devices, both ways: columns 4 and 12 of /proc/net/dev, whose first two lines are headings. */
function deviceDrops(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/net/dev`, 'latin1').trim().split('\n').slice(2);
  const drops = lines.map((line) => {
    const columns = line.split(':')[1].trim().split(/\s+/);
    return Number(columns[3]) + Number(columns[11]);
  });
  return drops.reduce((sum, count) => sum + count, 0);
}
