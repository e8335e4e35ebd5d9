/**
 * The signals of `weft run`, caught from its first moment: before the node is loaded, and long before it opens anything.
 * What comes too early to be acted on is kept until somebody asks: a wish to end in `stop`, a wish to reload until
 * `onReload`. Decides nothing; `run.ts` acts.
 */
export class RunSignals {
  readonly #stop: AbortController = new AbortController();
  #isReloadWanted = false;
  #reload: (() => void) | null = null;

  /** Takes the signals over for good. */
  constructor() {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => this.#stop.abort(signal));
    }
    // Node would open its debugger: for whoever may signal, a way into a process that holds the key.
    process.on('SIGUSR1', () => undefined);
    process.on('SIGHUP', () => this.#onReloadSignal());
  }

  /** Aborted, with the signal's name as its reason, when the node is to end. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** `reload` is called at every SIGHUP from now on, and at once when there were any before. Never once `stop` is aborted. */
  onReload(reload: () => void): void {
    this.#reload = reload;
    if (this.#isReloadWanted) {
      this.#onReloadSignal();
    }
  }

  #onReloadSignal(): void {
    this.#isReloadWanted = this.#reload === null;
    if (!this.#stop.signal.aborted) {
      this.#reload?.();
    }
  }
}
