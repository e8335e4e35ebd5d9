/**
 * What a worker may take of the machine's memory, and who goes first when there is none left: a worker, which is replaced
 * and holds no truth, not the primary. (proc_pid_oom_score_adj(5); raising it needs no privilege)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { errorText } from '../../shared/log/errorText.ts';
import type { Logger } from '../../shared/log/logger.ts';

/** As if the worker had half of the memory that it may have, on top of what it has. */
const WORKER_MORE = 500;
const SCORE_MAX = 1000;

/** A worker takes about 35 MB in all; what it derives of one tunnel, a few KB. */
const HEAP_MIB = 256;
const HEAP_KIB_PER_TUNNEL = 32;

/**
 * Limit of a worker's heap in MiB: far above what it needs, so that reaching it is a defect, by which it ends (SIGABRT)
 * before the machine suffers. Never more than V8 would take on this machine.
 */
export function heapMebibytes(tunnels: number): number {
  const ownLimit = Math.floor(getHeapStatistics().heap_size_limit / 2 ** 20);
  return Math.min(ownLimit, HEAP_MIB + Math.ceil((tunnels * HEAP_KIB_PER_TUNNEL) / 1024));
}

/** Of a child that was just started. Where it cannot be done, the kernel chooses as it does for anybody. */
export function offerToOomKiller(pid: number, log: Logger, proc: string = '/proc'): void {
  try {
    const own = Number(readFileSync(`${proc}/self/oom_score_adj`, 'latin1'));
    writeFileSync(`${proc}/${pid}/oom_score_adj`, String(Math.min(SCORE_MAX, own + WORKER_MORE)));
  } catch (error) {
    log.debug('Could not set oom_score_adj of a worker', { pid, error: errorText(error) });
  }
}
