/**
 * What the DNS process has counted, in a page of its own that the primary maps, too: numbers need no parsing, and nothing
 * else of that process is believed. A cell is written by the DNS process alone; the counts survive it. One more cell moves
 * as long as its loop turns.
 */
export const DNS_COUNTERS = [
  'dns.queries',
  'dns.answers',
  'dns.truncated',
  'dns.drop.source',
  'dns.drop.malformed',
  'dns.drop.busy',
  'dns.drop.send',
  'dns.tcp.connections',
  'dns.tcp.refused',
  'dns.tcp.cut_off',
  'dns.faults',
] as const;
export type DnsCounter = (typeof DNS_COUNTERS)[number];

export const DNS_COUNTER_BYTES = 4096;

export class DnsCounters {
  readonly #cells: Float64Array;

  constructor(buffer: ArrayBuffer) {
    this.#cells = new Float64Array(buffer, 0, DNS_COUNTERS.length + 1);
  }

  count(name: DnsCounter): void {
    this.#cells[CELLS[name]]++;
  }

  /** Says that the process lives. */
  beat(): void {
    this.#cells[BEAT]++;
  }

  /** Another number than last time when it has lived since. */
  get beats(): number {
    return this.#cells[BEAT];
  }

  /** Zero for a cell that holds no count: its writer may be anybody's. */
  value(name: DnsCounter): number {
    const value = this.#cells[CELLS[name]];
    return Number.isFinite(value) && value > 0 ? value : 0;
  }
}

const BEAT = DNS_COUNTERS.length;
const CELLS = Object.fromEntries(DNS_COUNTERS.map((name, cell) => [name, cell])) as Readonly<
  Record<DnsCounter, number>
>;
