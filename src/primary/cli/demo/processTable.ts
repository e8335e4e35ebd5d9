/**
 * What /proc says about processes: whether one is still the one we knew, who belongs to a process group.
 *
 * A process number alone names nobody for long: numbers are reused. A process is therefore known by its number and its
 * start time together, and nothing here or in `lab.ts` signals a process on its number alone.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** A process as it can be recognised later: `startTicks` is field 22 of /proc/PID/stat (proc(5)). */
export interface ProcessMark {
  readonly pid: number;
  readonly startTicks: number;
}

/** One line of /proc/PID/stat; ticks are 1/100 s on Linux. */
export interface ProcessStat extends ProcessMark {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly userTicks: number;
  readonly systemTicks: number;
}

/** Null when there is no such process (any more). */
export function processStat(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The command name stands in parentheses and may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    state: fields[0],
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    userTicks: Number(fields[11]),
    systemTicks: Number(fields[12]),
    startTicks: Number(fields[19]),
  };
}

export function markProcess(pid: number): ProcessMark | null {
  const stat = processStat(pid);
  return stat === null ? null : { pid, startTicks: stat.startTicks };
}

/** True while the very process that was marked runs; a zombie does not run. */
export function isRunning(mark: ProcessMark): boolean {
  const stat = processStat(mark.pid);
  return stat !== null && stat.startTicks === mark.startTicks && stat.state !== 'Z';
}

export function allProcesses(): ProcessStat[] {
  const processes: ProcessStat[] = [];
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? processStat(Number(name)) : null;
    if (stat !== null) {
      processes.push(stat);
    }
  }
  return processes;
}

/** The living members of the group and session that `leader` opened, the leader included while it lives. */
export function groupMembers(leader: ProcessMark): ProcessStat[] {
  const members = allProcesses().filter(
    (stat) => stat.group === leader.pid && stat.session === leader.pid && stat.startTicks >= leader.startTicks,
  );
  const first = members.find((stat) => stat.pid === leader.pid);
  const isStranger = first !== undefined && first.startTicks !== leader.startTicks;
  return isStranger ? [] : members.filter((stat) => stat.state !== 'Z');
}

/** Ends by SIGKILL every member of the group that `leader` opened; nothing happens when there is none. */
export function killGroup(leader: ProcessMark): void {
  for (const member of groupMembers(leader)) {
    try {
      process.kill(member.pid, 'SIGKILL');
    } catch {
      // ESRCH: it ended by itself in between.
    }
  }
}
