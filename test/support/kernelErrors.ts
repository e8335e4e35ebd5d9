/**
 * What the kernel of a namespace complains of: bad checksums and other faults of received TCP, UDP, ICMP and IP packets
 * (/proc/net/snmp and snmp6). A full socket buffer is not a fault of a packet: it is taken out of UDP's errors.
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
