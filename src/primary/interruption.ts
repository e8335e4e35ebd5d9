/** How a start that waits for something is interrupted: by an AbortSignal, which ends the wait and not the work. */

/** The start was interrupted on purpose: nothing has failed. */
export class StartInterrupted extends Error {
  constructor() {
    super('the start was interrupted');
    this.name = 'StartInterrupted';
  }
}

/** Throws StartInterrupted when the start is to end. */
export function goOnUnless(stop: AbortSignal): void {
  if (stop.aborted) {
    throw new StartInterrupted();
  }
}

/** Resolves as `work` does, or rejects with StartInterrupted; whatever `work` comes to after that is dropped. */
export async function unlessStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => reject(new StartInterrupted());
    stop.addEventListener('abort', onAbort);
  });
  work.catch(() => undefined);
  try {
    goOnUnless(stop);
    return await Promise.race([work, stopped]);
  } finally {
    stop.removeEventListener('abort', onAbort);
  }
}
