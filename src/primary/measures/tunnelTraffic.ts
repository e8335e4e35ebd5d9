/**
 * What each live tunnel, and each peer over all its tunnels, has carried; and how long peers take to answer tests. Adds up
 * the columns of all processes, of which those of workers may hold anything: a count that cannot be is none.
 *
 * Answers are noticed when somebody looks, so nothing runs on their account. One that comes after the next test went out
 * is taken for an answer to that one.
 */
import { countOf } from '../../shared/memory/metrics.ts';
import { TrafficCell, TunnelTrafficColumn } from '../../shared/memory/tunnelTraffic.ts';
import { DurationHistogram } from './durationHistogram.ts';

export interface CarriedTraffic {
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  readonly sentPackets: number;
  readonly sentBytes: number;
}

/** An answer that took longer is none: a hostile worker may write any time. */
const CHECK_MS_MAX = 60_000;
/** Peers whose ended tunnels are remembered; the one that ended first is forgotten first. */
const PEERS_MAX = 16_384;

const COUNTED = [
  TrafficCell.ReceivedPackets,
  TrafficCell.ReceivedBytes,
  TrafficCell.SentPackets,
  TrafficCell.SentBytes,
] as const;

type Counts = readonly [number, number, number, number];
const NOTHING: Counts = [0, 0, 0, 0];

/** A test request that has no answer yet. */
interface Test {
  /** By the clock that processes share. */
  readonly sentMs: number;
  /** What each worker had in the cell of the last answer then. */
  readonly before: readonly number[];
}

interface LiveTunnel {
  readonly peer: string;
  /** What the slot's cells held when the tunnel began. */
  readonly before: Counts;
  test: Test | null;
  lastCheckMs: number | null;
}

export class TunnelTraffic {
  /** How long every answer of every peer took. */
  readonly checkDurations: DurationHistogram = new DurationHistogram();
  readonly #own: TunnelTrafficColumn;
  readonly #workers: readonly TunnelTrafficColumn[];
  readonly #clockOffsetMs: number;
  readonly #live = new Map<number, LiveTunnel>();
  /** Of ended tunnels, by peer. */
  readonly #ended = new Map<string, Counts>();

  /** `clockOffsetMs`: of this process's clock to the one that all processes share. */
  constructor(workers: readonly TunnelTrafficColumn[], capacity: number, clockOffsetMs: number) {
    this.#own = new TunnelTrafficColumn(new Float64Array(TunnelTrafficColumn.cellCount(capacity)), clockOffsetMs);
    this.#workers = workers;
    this.#clockOffsetMs = clockOffsetMs;
  }

  /** A tunnel to a peer (by its first vpn address) begins in a slot. */
  begin(slot: number, peer: string): void {
    this.#live.set(slot, { peer, before: this.#cells(slot), test: null, lastCheckMs: null });
  }

  end(slot: number): void {
    const live = this.#live.get(slot);
    if (live === undefined) {
      return;
    }
    this.#settle(slot, live);
    const total = sum(this.#ended.get(live.peer) ?? NOTHING, this.#since(slot, live));
    this.#live.delete(slot);
    this.#ended.delete(live.peer);
    this.#ended.set(live.peer, total);
    if (this.#ended.size > PEERS_MAX) {
      for (const oldest of this.#ended.keys()) {
        this.#ended.delete(oldest);
        break;
      }
    }
  }

  /** The primary itself sent through a tunnel. */
  sent(slot: number, bytes: number): void {
    this.#own.sent(slot, bytes);
  }

  /** ... and is about to send a test request. `nowMs` by this process's clock. */
  testSent(slot: number, nowMs: number): void {
    const live = this.#live.get(slot);
    if (live !== undefined) {
      this.#settle(slot, live);
      live.test = { sentMs: nowMs + this.#clockOffsetMs, before: this.#answers(slot) };
    }
  }

  /** Takes note of the answers that have come. */
  settle(): void {
    for (const [slot, live] of this.#live) {
      this.#settle(slot, live);
    }
  }

  /** Of one live tunnel; nothing for a free slot. */
  ofTunnel(slot: number): CarriedTraffic {
    const live = this.#live.get(slot);
    return trafficOf(live === undefined ? NOTHING : this.#since(slot, live));
  }

  /** Of a peer, by its first vpn address: over all tunnels since the node's start, as far as they are remembered. */
  ofPeer(peer: string, liveSlots: readonly number[]): CarriedTraffic {
    let total = this.#ended.get(peer) ?? NOTHING;
    for (const slot of liveSlots) {
      const live = this.#live.get(slot);
      total = live === undefined ? total : sum(total, this.#since(slot, live));
    }
    return trafficOf(total);
  }

  /** How long the peer took for its last answer, in ms; null when it has given none. */
  lastCheckMs(slot: number): number | null {
    const live = this.#live.get(slot);
    if (live === undefined) {
      return null;
    }
    this.#settle(slot, live);
    return live.lastCheckMs;
  }

  #settle(slot: number, live: LiveTunnel): void {
    const { test } = live;
    if (test === null) {
      return;
    }
    const answerMs = this.#answers(slot).find((answer, worker) => answer !== test.before[worker]);
    if (answerMs === undefined) {
      return;
    }
    live.test = null;
    // A worker takes the time of a batch at its beginning, which may be a little before the test went out.
    const durationMs = Math.max(0, answerMs - test.sentMs);
    if (durationMs <= CHECK_MS_MAX) {
      live.lastCheckMs = durationMs;
      this.checkDurations.add(durationMs);
    }
  }

  /** When the last answer came, by worker. */
  #answers(slot: number): readonly number[] {
    return this.#workers.map((column) => column.at(slot, TrafficCell.AnswerMs));
  }

  #since(slot: number, { before }: LiveTunnel): Counts {
    const now = this.#cells(slot);
    return countsOf((index) => Math.max(0, now[index] - before[index]));
  }

  #cells(slot: number): Counts {
    return countsOf((index) =>
      this.#workers.reduce(
        (total, column) => total + countOf(column.at(slot, COUNTED[index])),
        this.#own.at(slot, COUNTED[index]),
      ),
    );
  }
}

function countsOf(count: (index: number) => number): Counts {
  return [count(0), count(1), count(2), count(3)];
}

function sum(a: Counts, b: Counts): Counts {
  return countsOf((index) => a[index] + b[index]);
}

function trafficOf([receivedPackets, receivedBytes, sentPackets, sentBytes]: Counts): CarriedTraffic {
  return { receivedPackets, receivedBytes, sentPackets, sentBytes };
}
