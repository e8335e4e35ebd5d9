/**
 * One handshake that this node has started and that waits for its answer: what is tried, how often it was, and what
 * went out last. `handshakes.ts` owns and drives it.
 */
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { Initiator } from './handshakeMachine.ts';

/** One started handshake, for the operator's eyes. */
export interface PendingView {
  readonly address: IpAddress;
  readonly localIndex: number;
  readonly attemptCount: number;
  readonly endpoints: readonly Endpoint[];
  /** Monotonic milliseconds of the next attempt; null when there is none: it is given up unless an answer comes. */
  readonly nextAttemptMs: number | null;
}

/** What an attempt sends, once it has been built. */
export interface StartedHandshake {
  readonly machine: Initiator;
  readonly localIndex: number;
}

export class PendingHandshake {
  readonly address: IpAddress;
  readonly version: 1 | 2 | null;
  readonly startedMs: number;
  readonly tryIntervalMs: number;
  readonly retries: number;
  attemptCount = 0;
  initiator: StartedHandshake | null = null;
  endpoints: readonly Endpoint[] = [];
  /** The endpoints of the last attempt, as one text; empty before there were any. */
  triedKey = '';
  timer = 0;
  timerMs = 0;
  /** Hosts that have answered in place of the one that was asked, by the fingerprints of their certificates. */
  readonly strangers: Set<string> = new Set();

  constructor(
    address: IpAddress,
    version: 1 | 2 | null,
    startedMs: number,
    settings: { readonly tryIntervalMs: number; readonly retries: number },
  ) {
    this.address = address;
    this.version = version;
    this.startedMs = startedMs;
    this.tryIntervalMs = settings.tryIntervalMs;
    this.retries = settings.retries;
  }

  /** Whether news about the host may lead to an attempt ahead of the timer. */
  get mayTryAgain(): boolean {
    return this.attemptCount < this.retries;
  }

  view(): PendingView {
    const { address, attemptCount, endpoints } = this;
    const nextAttemptMs = this.mayTryAgain ? this.timerMs : null;
    return { address, localIndex: this.initiator?.localIndex ?? 0, attemptCount, endpoints, nextAttemptMs };
  }
}
