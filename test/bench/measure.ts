/** What a measure is: a name, a unit, and which way is better. And the plan by which all of them are taken. */

export interface Plan {
  /** Of every stream. */
  readonly seconds: number;
  readonly datagramBytes: readonly number[];
  /** Of every trial of the search for the highest rate without loss, and how close it comes, as a share of the rate. */
  readonly searchSeconds: number;
  readonly searchPrecision: number;
  readonly pingCount: number;
  /** Hosts that shake hands with the server's node. */
  readonly handshakeCount: number;
}

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Decimals in the table. */
  readonly digits: number;
  /** Less is better: latency, processor time, memory. */
  readonly isCost: boolean;
}

export type Values = { readonly [measure: string]: number };

/** NaN of nothing. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function gain(name: string, unit: string, digits: number): Measure {
  return { name, unit, digits, isCost: false };
}

export function cost(name: string, unit: string, digits: number): Measure {
  return { name, unit, digits, isCost: true };
}
