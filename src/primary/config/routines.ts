/**
 * The number of workers from `routines` and its two deprecated forms (Nebula protocol: routines). Pure: the caller
 * validates that each value is a whole number, and logs.
 */

const ROUTINES_MAX = 65536;

export interface Routines {
  /** 1 to 65536. */
  readonly count: number;
  readonly warnings: readonly {
    readonly path: string;
    readonly message: string;
    readonly fields: Readonly<Record<string, string | number | boolean>>;
  }[];
}

/** Null stands for an absent key. */
export function resolveRoutines(
  routines: number | null,
  tunRoutines: number | null,
  listenRoutines: number | null,
): Routines {
  const warnings: Routines['warnings'][number][] = [];
  let requested = routines ?? 0;
  let path = 'routines';
  if (requested < 0) {
    requested = 1;
  } else if (requested === 0) {
    path = tunRoutines === null ? 'listen.routines' : 'tun.routines';
    requested = Math.max(tunRoutines ?? 1, listenRoutines ?? 1);
    if (requested < 1) {
      const message = 'no worker would run: both deprecated keys are below 1; one is started. Use `routines` instead';
      warnings.push({ path, message, fields: { routines: 1 } });
      requested = 1;
    } else if (requested !== 1) {
      const message = 'Setting tun.routines and listen.routines is deprecated. Use `routines` instead';
      warnings.push({ path, message, fields: { routines: requested } });
    }
  }
  if (requested > ROUTINES_MAX) {
    const fields = { routines: ROUTINES_MAX, clamped: true, requestedRoutines: requested };
    warnings.push({ path, message: 'Using multiple routines', fields });
    requested = ROUTINES_MAX;
  }
  return { count: requested, warnings };
}

/**
 * The period of the workers' own flow caches in milliseconds: an explicit value wins and 0 is off; without one it is off
 * for one routine and 1 s for more (Nebula protocol: routine-local conntrack cache).
 */
export function resolveRoutineCacheTimeout(routines: number, explicitMs: number | null): number {
  return explicitMs ?? (routines > 1 ? 1000 : 0);
}

/**
 * A cached flow refreshes its entry in the shared table once per period only. More than a tenth of the shortest timeout
 * would shorten the life of idle flows noticeably.
 */
export function isCacheTimeoutLong(cacheTimeoutMs: number, shortestConntrackTimeoutMs: number): boolean {
  return cacheTimeoutMs > shortestConntrackTimeoutMs / 10;
}
