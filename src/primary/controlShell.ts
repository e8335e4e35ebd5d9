/**
 * The imperative shell around the control plane: clocks in, effects out.
 *
 * Every event enters through `act`, which reads both clocks once, calls the control plane, has its effects carried out in
 * order and sets one timer for the next deadline.
 *
 * An exception costs what caused it, one event or one effect, and nothing behind it: effects are carried out and the timer
 * is set whatever happened before.
 */

import type { Punt } from '../shared/ipc/messages.ts';
import type { Boundary } from './boundary.ts';
import type { ControlPlane } from './control/controlPlane.ts';
import type { Effect, ResolveAnswer, ResolveRequest } from './control/effects.ts';
import type { Now } from './control/now.ts';
import type { Deed } from './performer.ts';

export interface ControlShellParts {
  readonly control: ControlPlane;
  readonly performer: { carryOut(effect: Deed): void };
  readonly resolver: { resolve(request: ResolveRequest): Promise<ResolveAnswer> };
  readonly boundary: Boundary;
}

/** Timers further away than this are re-armed: Node's timers end at 2^31 ms. */
const TIMER_MS_MAX = 60_000;
/** A deadline that cannot be kept is due again at once: it is tried so often, and the rest of the node has its turns. */
const FAULTY_TIMER_MS = 100;

export class ControlShell {
  readonly #parts: ControlShellParts;
  #timer: NodeJS.Timeout | null = null;
  #timerMs = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #timerNotBeforeMs = 0;

  constructor(parts: ControlShellParts) {
    this.#parts = parts;
  }

  /** Runs one event through the control plane and carries out what it wants done. Throws what the event throws. */
  act(event: (now: Now) => void): void {
    const { control, boundary } = this.#parts;
    const now: Now = { ms: performance.now(), unixMs: Date.now() };
    try {
      event(now);
    } finally {
      for (const effect of control.drain()) {
        boundary.guard('effect', () => this.#carryOut(effect));
      }
      boundary.guard('effect', () => this.#arm());
    }
  }

  /** A report of a worker. Throws like `act`. */
  onPunt(punt: Punt): void {
    this.act((now) => this.#parts.control.onPunt(now, punt));
  }

  /** Sets no timer any more. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
  }

  #carryOut(effect: Effect): void {
    if (effect.kind === 'resolve') {
      this.#resolve(effect.request);
    } else {
      this.#parts.performer.carryOut(effect);
    }
  }

  /** The answer is an event of its own, some time later. */
  #resolve(request: ResolveRequest): void {
    const { control, resolver, boundary } = this.#parts;
    void boundary.guardAsync('lookup', async () => {
      const answer = await resolver.resolve(request);
      this.act((now) => control.onResolved(now, request.id, answer));
    });
  }

  /** One timer for the earliest deadline. */
  #arm(): void {
    const nextMs = this.#parts.control.nextMs ?? Number.POSITIVE_INFINITY;
    if (this.#isClosed || (this.#timer !== null && this.#timerMs === nextMs)) {
      return;
    }
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
      this.#timer = null;
    }
    this.#timerMs = nextMs;
    if (nextMs !== Number.POSITIVE_INFINITY) {
      const dueMs = Math.max(nextMs, this.#timerNotBeforeMs);
      const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(dueMs - performance.now())));
      this.#timer = setTimeout(() => this.#onTimer(), delayMs);
    }
  }

  #onTimer(): void {
    const { control, boundary } = this.#parts;
    this.#timer = null;
    this.act((now) => {
      if (!boundary.guard('timer', () => control.onTimer(now))) {
        this.#timerNotBeforeMs = now.ms + FAULTY_TIMER_MS;
      }
    });
  }
}
