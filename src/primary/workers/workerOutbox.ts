/**
 * What the primary has to say to one worker, with a bounded number of messages that the kernel has not taken yet.
 *
 * It takes them until the socket is full: when the worker stands still, or does not listen. Further ones then wait here,
 * merged into what they come to: the newest settings, the newest tick, the set of closed slots. So such a worker costs
 * the primary a bounded amount of memory, and one that was only slow loses nothing that it cannot do without.
 */
import type { ToWorker } from '../../shared/ipc/messages.ts';

/** Messages that the kernel has not taken: settings may be large, so few. */
export const OUTBOX_MESSAGES_MAX = 32;
/** Of those that say that hosts are up or failed. A worker that hears of neither lets what waits expire. */
const WAITING_MAX = 256;

type Settings = Extract<ToWorker, { type: 'settings' }>;
type Tick = Extract<ToWorker, { type: 'tick' }>;

export class WorkerOutbox {
  readonly #send: (message: ToWorker, onWritten: () => void) => void;
  #underWayCount = 0;
  #settings: Settings | null = null;
  #tick: Tick | null = null;
  /** At most as many as there are slots. */
  readonly #closedSlots = new Set<number>();
  #waiting: ToWorker[] = [];

  /** `send` calls back, later, for each message that takes no more memory. */
  constructor(send: (message: ToWorker, onWritten: () => void) => void) {
    this.#send = send;
  }

  /** Sends the message, now or when there is room. Returns how many were dropped for good. */
  offer(message: ToWorker): number {
    if (message.type === 'stop' || (this.#hasRoom && this.#isEmpty)) {
      this.#post(message);
      return 0;
    }
    return this.#merge(message);
  }

  get #isEmpty(): boolean {
    return this.#settings === null && this.#tick === null && this.#closedSlots.size === 0 && this.#waiting.length === 0;
  }

  get #hasRoom(): boolean {
    return this.#underWayCount < OUTBOX_MESSAGES_MAX;
  }

  #post(message: ToWorker): void {
    this.#underWayCount++;
    this.#send(message, () => {
      this.#underWayCount--;
      this.#resume();
    });
  }

  #resume(): void {
    while (this.#hasRoom) {
      const message = this.#next();
      if (message === null) {
        return;
      }
      this.#post(message);
    }
  }

  #merge(message: ToWorker): number {
    if (message.type === 'settings') {
      this.#settings = message;
    } else if (message.type === 'tick') {
      this.#tick = message;
    } else if (message.type === 'tunnelsClosed') {
      for (const slot of message.slots) {
        this.#closedSlots.add(slot);
      }
    } else if (this.#waiting.length < WAITING_MAX) {
      this.#waiting.push(message);
    } else {
      return 1;
    }
    return 0;
  }

  /** Takes out one of what waits. */
  #next(): ToWorker | null {
    if (this.#settings !== null) {
      const settings = this.#settings;
      this.#settings = null;
      return settings;
    }
    if (this.#closedSlots.size > 0) {
      const slots = [...this.#closedSlots];
      this.#closedSlots.clear();
      return { type: 'tunnelsClosed', slots };
    }
    if (this.#waiting.length > 0) {
      return this.#waiting.shift() ?? null;
    }
    const tick = this.#tick;
    this.#tick = null;
    return tick;
  }
}
