/**
 * Durations as Nebula's YAML and flags spell them (Go's time.ParseDuration): `10s`, `1m30s`, `1.5h`, `250ms`.
 * The config codec and the command line call this; results are milliseconds, where sub-millisecond parts stay fractions.
 */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go counts nanoseconds in 63 bits: about 292 years. */
const MAX_MS = 2 ** 63 / 1e6;

/**
 * Milliseconds, or null when malformed: a sign, then one or more decimal numbers each with its unit. A bare number has
 * no unit and is refused, except `0`. Days and weeks do not exist.
 */
export function parseDuration(text: string): number | null {
  const match = /^([+-]?)(.+)$/s.exec(text);
  if (match === null) {
    return null;
  }
  const sign = match[1] === '-' ? -1 : 1;
  let rest = match[2];
  if (rest === '0') {
    return 0;
  }
  let totalMs = 0;
  while (rest !== '') {
    const part = /^(\d+\.?\d*|\.\d+)([^\d.]+)/.exec(rest);
    const unitMs = part === null ? undefined : UNIT_MS[part[2]];
    if (part === null || unitMs === undefined) {
      return null;
    }
    totalMs += Number(part[1]) * unitMs;
    rest = rest.slice(part[0].length);
  }
  return totalMs >= MAX_MS ? null : sign * totalMs || 0;
}

/** The way Go prints a duration: `8760h0m0s`, `1m30s`, `250ms`, `0s`; used for defaults in usage texts and in errors. */
export function formatDuration(durationMs: number): string {
  const absoluteMs = Math.abs(durationMs);
  const sign = durationMs < 0 ? '-' : '';
  if (absoluteMs === 0) {
    return '0s';
  }
  if (absoluteMs < 1e-3) {
    return `${sign}${Math.round(absoluteMs * 1e6)}ns`;
  }
  if (absoluteMs < 1) {
    return `${sign}${trimmed(absoluteMs * 1000, 3)}\u00b5s`;
  }
  if (absoluteMs < 1000) {
    return `${sign}${trimmed(absoluteMs, 6)}ms`;
  }
  const hours = Math.floor(absoluteMs / 3_600_000);
  const minutes = Math.floor((absoluteMs % 3_600_000) / 60_000);
  const seconds = trimmed((absoluteMs % 60_000) / 1000, 9);
  const minutesText = hours > 0 || minutes > 0 ? `${minutes}m` : '';
  return `${sign}${hours > 0 ? `${hours}h` : ''}${minutesText}${seconds}s`;
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
