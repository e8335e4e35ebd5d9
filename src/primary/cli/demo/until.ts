/**
 * Bounded waiting on something outside this process: a socket that opens, a device that appears, a file that changes.
 *
 * Used by the demo and by end-to-end tests. There is no fixed sleep anywhere: the condition is looked at again and again
 * until it holds, and running out of time is an error that names what was awaited.
 */

/** Polls `condition` every `intervalMs` until it gives something other than null, undefined or false; throws after `timeoutMs`. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs: number = 30_000,
  intervalMs: number = 20,
): Promise<Exclude<T, null | undefined | false>> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (isPresent(value)) {
      return value;
    }
    if (performance.now() >= deadlineMs) {
      throw new Error(`gave up after ${timeoutMs} ms waiting for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

function isPresent<T>(value: T): value is Exclude<T, null | undefined | false> {
  return value !== null && value !== undefined && value !== false;
}
