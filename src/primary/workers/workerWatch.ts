/**
 * Which workers hang: alive as processes, but making no turn of their loop (stopped, in an endless loop, dead-locked).
 * Pure: what each worker shows and the time are arguments, the verdicts are values; `hangGuard.ts` asks and acts.
 *
 *   starting ──(ready)──▶ turning ──(no turn for 2 s)──▶ hangs, said once per process
 *       └──(30 s)──▶ hangs
 *
 * An idle worker makes an empty turn every BEAT_MS from a timer of its loop, so a turn is always due and its absence is
 * work that waits. Only time in which this process looked when it meant to is counted: after a stall of the primary, a
 * suspend or a frozen container the workers get as many looks as ever. What a worker writes as its turn concerns nobody
 * but itself: one that fakes it is not replaced, and no other is judged by it.
 */

/** How often `observe` is to be called. */
export const LOOK_MS = 500;
export const SILENT_MS_MAX = 2_000;
/** Loading modules and libraries on a busy machine takes seconds. */
export const START_MS_MAX = 30_000;

/** What is seen of a worker at one moment. */
export interface WorkerSight {
  /** 0: no process; nothing is expected of it. */
  readonly pid: number;
  readonly isReady: boolean;
  /** Its word in `memory/workerTurns.ts`; any number may stand there. */
  readonly turn: number;
}

export interface HangVerdict {
  readonly worker: number;
  readonly pid: number;
  readonly silentMs: number;
  readonly isReady: boolean;
}

interface Watched {
  sight: WorkerSight;
  silentMs: number;
  isJudged: boolean;
}

const NOBODY: WorkerSight = { pid: 0, isReady: false, turn: 0 };

export class WorkerWatch {
  readonly #watched: Watched[];
  #lastMs = Number.NaN;

  constructor(workers: number) {
    this.#watched = Array.from({ length: workers }, () => ({ sight: NOBODY, silentMs: 0, isJudged: false }));
  }

  /** `sights` by worker, `nowMs` monotonic. The workers that are to be killed; each process is named once. */
  observe(nowMs: number, sights: readonly WorkerSight[]): readonly HangVerdict[] {
    // The first look has no earlier one: nothing has been silent yet.
    const passedMs = Number.isNaN(this.#lastMs) ? 0 : Math.min(LOOK_MS, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    const verdicts: HangVerdict[] = [];
    for (const [worker, watched] of this.#watched.entries()) {
      const sight = sights[worker];
      const { pid, isReady, turn } = sight;
      if (pid !== watched.sight.pid) {
        watched.isJudged = false;
      }
      const hasMoved = pid !== watched.sight.pid || isReady !== watched.sight.isReady || turn !== watched.sight.turn;
      watched.sight = sight;
      watched.silentMs = hasMoved ? 0 : watched.silentMs + passedMs;
      const limitMs = isReady ? SILENT_MS_MAX : START_MS_MAX;
      if (pid !== 0 && !watched.isJudged && watched.silentMs >= limitMs) {
        watched.isJudged = true;
        verdicts.push({ worker, pid, silentMs: watched.silentMs, isReady });
      }
    }
    return verdicts;
  }
}
