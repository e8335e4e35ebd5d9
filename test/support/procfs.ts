/** What /proc tells of running programs: children, processor time, memory, sockets. Values only; nothing is signalled here. */
import { readdirSync, readFileSync } from 'node:fs';
import { processStat } from '../../src/primary/cli/demo/processTable.ts';

const TICKS_PER_SECOND = 100;

/** Direct children; empty when the process is gone. Needs CONFIG_PROC_CHILDREN, as every distribution kernel has. */
export function childPids(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
    return text.split(' ').flatMap((word) => (word === '' ? [] : [Number(word)]));
  } catch {
    return [];
  }
}

/** What a program was started with; empty when it is gone. */
export function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

export interface CpuSeconds {
  readonly user: number;
  readonly system: number;
}

/** Summed over the processes; one that is gone counts nothing. */
export function cpuSeconds(pids: readonly number[]): CpuSeconds {
  let user = 0;
  let system = 0;
  for (const pid of pids) {
    const stat = processStat(pid);
    user += stat === null ? 0 : stat.userTicks / TICKS_PER_SECOND;
    system += stat === null ? 0 : stat.systemTicks / TICKS_PER_SECOND;
  }
  return { user, system };
}

export interface Memory {
  readonly rssBytes: number;
  /** Proportional set size: pages shared by n processes count 1/n in each. */
  readonly pssBytes: number;
}

export function memoryOf(pids: readonly number[]): Memory {
  let rssBytes = 0;
  let pssBytes = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    rssBytes += kilobytes(text, 'Rss') * 1024;
    pssBytes += kilobytes(text, 'Pss') * 1024;
  }
  return { rssBytes, pssBytes };
}

/** Local ports of all UDP sockets in the network namespace of `pid`, one entry per socket. */
export function udpPorts(pid: number): number[] {
  return ['udp', 'udp6'].flatMap((table) => localPorts(pid, table, /./));
}

/** Whether somebody listens on a TCP port in the network namespace of `pid`. */
export function isListening(pid: number, port: number): boolean {
  return ['tcp', 'tcp6'].some((table) => localPorts(pid, table, /^0A$/).includes(port));
}

function localPorts(pid: number, table: string, state: RegExp): number[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/${table}`, 'latin1');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length > 3 && state.test(fields[3]))
    .map((fields) => Number.parseInt(fields[1].slice(fields[1].lastIndexOf(':') + 1), 16));
}

function kilobytes(rollup: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
}

/**
 * Seconds on a processor, exact to the nanosecond and over all threads (/proc/PID/task/TID/schedstat): good for an idle
 * process, whose few microseconds the tick counters round away.
 */
export function runSeconds(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    }
  }
  return nanoseconds / 1e9;
}

/** Of one device, by direction as its host sees it. */
export interface DeviceCounts {
  readonly received: number;
  readonly sent: number;
}

/** Bytes of a device in the network namespace of `pid`: zeros when there is no such device. */
export function deviceBytes(pid: number, device: string): DeviceCounts {
  const fields = deviceFields(pid, device);
  return { received: fields[0], sent: fields[8] };
}

/** The same in packets. */
export function devicePackets(pid: number, device: string): DeviceCounts {
  const fields = deviceFields(pid, device);
  return { received: fields[1], sent: fields[9] };
}

function deviceFields(pid: number, device: string): number[] {
  const text = readFileSync(`/proc/${pid}/net/dev`, 'latin1');
  const line = text.split('\n').find((entry) => entry.trim().startsWith(`${device}:`));
  const fields = (line ?? '').split(':').at(-1)?.trim().split(/\s+/) ?? [];
  return Array.from({ length: 16 }, (_, column) => Number(fields[column] ?? 0));
}
