/**
 * The moment in which the control plane acts. The shell reads both clocks once per event and passes them in, so every
 * state machine runs on a fake clock in tests.
 */
export interface Now {
  /** Monotonic milliseconds: timers, durations, flap suppression. Its zero has no meaning. */
  readonly ms: number;
  /** Milliseconds since the Unix epoch: certificate validity and handshake times. May jump. */
  readonly unixMs: number;
}

export function unixSecondsOf(now: Now): number {
  return Math.floor(now.unixMs / 1000);
}

/** The earliest of these parts' deadlines; null when none of them waits for anything. */
export function earliest(parts: readonly { readonly nextMs: number | null }[]): number | null {
  const times = parts.flatMap(({ nextMs }) => nextMs ?? []);
  return times.length === 0 ? null : Math.min(...times);
}
