/** What the kernel says of every thread of a process, from /proc/PID/task/TID/status. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ThreadStatus {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: string;
  /** Inheritable, permitted, effective, ambient. */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: number;
  /** Filters in force: the one that the primary's children inherit, and a child's own. */
  readonly filters: number;
}

export function threadsOf(pid: number): ThreadStatus[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
    const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1].trim() ?? '';
    const numbers = (name: string): number[] => field(name).split(/\s+/).map(Number);
    return {
      uids: numbers('Uid'),
      gids: numbers('Gid'),
      groups: field('Groups'),
      capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map(field),
      noNewPrivileges: Number(field('NoNewPrivs')),
      // Kernels before 5.9 tell only whether there is one.
      filters: Number(field('Seccomp_filters') || field('Seccomp')),
    };
  });
}
