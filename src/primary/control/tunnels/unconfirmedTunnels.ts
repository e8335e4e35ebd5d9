/**
 * Tunnels whose peer has not used its keys yet. Most are those that this node answered: message 1 proves nothing, whoever
 * saw one can copy the certificate out of it or send it again. A few are replacements that this node asked for: the peer
 * may have forgotten them by now. Until an authentic packet has come through it, such a tunnel is known by its row, its
 * index and its message 1 only; no host, no endpoint and no other tunnel knows of it.
 *
 *   message 2 ─▶ asked for a sign of life, a few times ─▶ first authentic packet ─▶ confirmed, leaves this table
 *                                                           └▶ its short life is over, or there are too many ─▶ gone
 *
 * Those answered are bounded per host and in all. Where there are too many, the source address that has most of them
 * loses its oldest, so one stranger crowds out himself and not the host that really calls. Plain data, no effects: `tunnels.ts` acts.
 */
import type { IpAddress } from '../../../shared/ip/address.ts';
import { Timers } from '../timers.ts';
import type { Tunnel } from './tunnel.ts';

/**
 * An initiator that is there answers within a round trip. But message 2 may be lost or late, and what an initiator gets
 * for a message 1 it still repeats must not lead nowhere: the most patient release repeats it for 10 s.
 */
export const UNCONFIRMED_LIFE_MS = 12_000;
export const UNCONFIRMED_PER_HOST_MAX = 4;
export const UNCONFIRMED_MAX = 1024;

/** When the initiator is asked again, in milliseconds since message 2; a question or its answer may be lost. */
const QUESTIONS_MS = [200, 800, 2600];

export interface DueTunnel {
  readonly tunnel: Tunnel;
  /** Its life is over; otherwise it is to be asked again. */
  readonly isOver: boolean;
}

interface Entry {
  readonly tunnel: Tunnel;
  questionCount: number;
  timer: number;
}

export class UnconfirmedTunnels {
  readonly #max: number;
  readonly #entries = new Map<Tunnel, Entry>();
  readonly #byRequestDigest = new Map<string, Tunnel>();
  readonly #bySlot = new Map<number, Tunnel>();
  readonly #timers = new Timers<Entry>();

  /** They take at most an eighth of the tunnel table, or what one host may have. */
  constructor(tunnelCapacity: number) {
    this.#max = Math.min(UNCONFIRMED_MAX, Math.max(UNCONFIRMED_PER_HOST_MAX, Math.floor(tunnelCapacity / 8)));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Monotonic milliseconds at which `takeDue` has something to give; null when nothing waits. */
  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  add(tunnel: Tunnel): void {
    const entry: Entry = { tunnel, questionCount: 0, timer: 0 };
    this.#entries.set(tunnel, entry);
    this.#bySlot.set(tunnel.slot, tunnel);
    if (tunnel.answered !== null) {
      this.#byRequestDigest.set(tunnel.answered.requestDigest, tunnel);
    }
    this.#schedule(entry);
  }

  /** The tunnel that must go before one more of this host may be answered; null when there is room. */
  surplusFor(vpnAddress: IpAddress): Tunnel | null {
    const all = [...this.#entries.keys()].filter((tunnel) => !tunnel.isInitiator);
    const ofHost = all.filter((tunnel) => tunnel.vpnAddress.text === vpnAddress.text);
    if (ofHost.length >= UNCONFIRMED_PER_HOST_MAX) {
      return oldestOfBusiest(ofHost);
    }
    return all.length >= this.#max ? oldestOfBusiest(all) : null;
  }

  /** False when it is none of these, or none any more. */
  remove(tunnel: Tunnel): boolean {
    const entry = this.#entries.get(tunnel);
    if (entry === undefined) {
      return false;
    }
    this.#timers.cancel(entry.timer);
    this.#entries.delete(tunnel);
    this.#bySlot.delete(tunnel.slot);
    if (tunnel.answered !== null) {
      this.#byRequestDigest.delete(tunnel.answered.requestDigest);
    }
    return true;
  }

  /** The next tunnel to be asked again, or whose life is over; the latter is the caller's to remove. */
  takeDue(nowMs: number): DueTunnel | null {
    const entry = this.#timers.takeDue(nowMs);
    if (entry === null) {
      return null;
    }
    entry.timer = 0;
    const isOver = entry.questionCount >= QUESTIONS_MS.length;
    if (!isOver) {
      entry.questionCount++;
      this.#schedule(entry);
    }
    return { tunnel: entry.tunnel, isOver };
  }

  bySlot(slot: number, generation: number): Tunnel | null {
    const tunnel = this.#bySlot.get(slot);
    return tunnel !== undefined && tunnel.generation === generation ? tunnel : null;
  }

  /** The tunnel that was made from exactly this message 1. */
  byRequestDigest(digest: string): Tunnel | null {
    return this.#byRequestDigest.get(digest) ?? null;
  }

  /** Whether a host called after `sinceMs`, so that a tunnel to it may be a round trip away. */
  isExpected(address: IpAddress, sinceMs: number): boolean {
    for (const tunnel of this.#entries.keys()) {
      if (tunnel.createdMs > sinceMs && tunnel.vpnAddresses.some((own) => own.text === address.text)) {
        return true;
      }
    }
    return false;
  }

  has(tunnel: Tunnel): boolean {
    return this.#entries.has(tunnel);
  }

  /** The oldest first. */
  all(): readonly Tunnel[] {
    return [...this.#entries.keys()];
  }

  #schedule(entry: Entry): void {
    const afterMs = QUESTIONS_MS[entry.questionCount] ?? UNCONFIRMED_LIFE_MS;
    entry.timer = this.#timers.schedule(entry.tunnel.createdMs + afterMs, entry);
  }
}

/** `tunnels` is not empty and has the oldest first. */
function oldestOfBusiest(tunnels: readonly Tunnel[]): Tunnel {
  const counts = new Map<string, number>();
  for (const tunnel of tunnels) {
    counts.set(sourceOf(tunnel), (counts.get(sourceOf(tunnel)) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  return tunnels.find((tunnel) => counts.get(sourceOf(tunnel)) === most) ?? tunnels[0];
}

function sourceOf(tunnel: Tunnel): string {
  return tunnel.endpoint?.address.text ?? '';
}
