/**
 * The order in which one batch of opened packets goes to the tun device: by tunnel, then by message counter.
 *
 * That repairs what the network, receive offload or several queues of a sender shuffled within the batch. Batches mostly
 * arrive in order, which costs one comparison per packet; otherwise a stable merge sort, whose worst case no sender can
 * make worse than n log n. All memory is taken once.
 */

export class BatchOrder {
  /** Packet numbers in delivery order, valid for `count` entries after `settle`. */
  readonly order: Uint16Array;
  count: number = 0;

  readonly #spare: Uint16Array;
  readonly #tunnels: Float64Array;
  readonly #counters: Float64Array;
  #isSorted = true;

  /** `capacity` packets at most, up to 65536. */
  constructor(capacity: number) {
    this.order = new Uint16Array(capacity);
    this.#spare = new Uint16Array(capacity);
    this.#tunnels = new Float64Array(capacity);
    this.#counters = new Float64Array(capacity);
  }

  clear(): void {
    this.count = 0;
    this.#isSorted = true;
  }

  /** Adds packet number `count`. `tunnel` is an ordinal: a tunnel made later has a larger one. The halves may be signed. */
  add(tunnel: number, counterHigh: number, counterLow: number): void {
    const index = this.count++;
    this.order[index] = index;
    this.#tunnels[index] = tunnel;
    this.#counters[index] = (counterHigh >>> 0) * 0x1_0000_0000 + (counterLow >>> 0);
    if (index > 0 && !this.#isInOrder(index - 1, index)) {
      this.#isSorted = false;
    }
  }

  /** Brings `order` into delivery order. */
  settle(): void {
    if (this.#isSorted) {
      return;
    }
    for (let width = 1; width < this.count; width *= 2) {
      for (let start = 0; start + width < this.count; start += 2 * width) {
        this.#merge(start, start + width, Math.min(start + 2 * width, this.count));
      }
    }
  }

  /** Merges two neighbouring sorted runs of `order`. */
  #merge(start: number, middle: number, end: number): void {
    const { order } = this;
    if (this.#isInOrder(order[middle - 1], order[middle])) {
      return;
    }
    const spare = this.#spare;
    for (let index = start; index < middle; index++) {
      spare[index] = order[index];
    }
    let left = start;
    let right = middle;
    for (let target = start; left < middle; target++) {
      order[target] = right < end && !this.#isInOrder(spare[left], order[right]) ? order[right++] : spare[left++];
    }
  }

  #isInOrder(first: number, second: number): boolean {
    const tunnels = this.#tunnels;
    return (
      tunnels[first] < tunnels[second] ||
      (tunnels[first] === tunnels[second] && this.#counters[first] <= this.#counters[second])
    );
  }
}
