/**
 * The layout of one row of the conntrack table, and how its key is compared, written and read back.
 *
 * Only `conntrackTable.ts` uses this. A row is 16 words (one cache line): generation, the flow's key, then the value
 * and the flow's hash. Nothing here locks; `readRow` allocates nothing either.
 */
import { PacketTuple } from '../ip/packetTuple.ts';
import { holdsFlow, readFlow, writeFlow } from './flowKey.ts';

/** One row as the command line and the primary read it. */
export class FlowRecord {
  readonly tuple: PacketTuple = new PacketTuple();
  expirySeconds: number = 0;
  /** Whether the flow was opened by the peer. */
  incoming: boolean = false;
  rulesVersion: number = 0;
  /** Index of the rule that let it in, in the list of its direction and rules version. */
  rule: number = 0;
  /** Owner number of the process that added it. */
  owner: number = 0;
}

/** Copies a consistent row whose tag is at `tag`; false when it is empty or was being written. */
export function readRow(words: Int32Array, row: number, tag: number, record: FlowRecord): boolean {
  const generation = Atomics.load(words, row);
  if ((generation & 1) !== 0 || words[tag] === 0) {
    return false;
  }
  readFlow(words, row + KEY, record.tuple);
  const mark = words[row + MARK];
  record.expirySeconds = words[row + EXPIRY];
  record.incoming = (mark & 1) !== 0;
  record.rulesVersion = mark >> 1;
  record.rule = words[row + RULE];
  record.owner = ownerInOrigin(words[row + ORIGIN]);
  return Atomics.load(words, row) === generation && words[tag] === words[row + HASH];
}

export function holdsKey(words: Int32Array, row: number, tuple: PacketTuple, hash: number): boolean {
  return words[row + HASH] === hash && holdsFlow(words, row + KEY, tuple);
}

/** Whether a row is of a flow with this hash: even when it is being written, or garbage. */
export function hasHash(words: Int32Array, row: number, hash: number): boolean {
  return words[row + HASH] === hash;
}

export function writeKey(words: Int32Array, row: number, tuple: PacketTuple, hash: number): void {
  writeFlow(words, row + KEY, tuple);
  words[row + HASH] = hash;
}

/** The tag's low 15 bits: two peers in 32768 share what one of them alone would have. */
export function originOf(peer: number, owner: number): number {
  return (peer << OWNER_BITS) | owner;
}

export function ownerInOrigin(origin: number): number {
  return origin & ((1 << OWNER_BITS) - 1);
}

export function peerTagOf(origin: number): number {
  return origin >>> OWNER_BITS;
}

/** Words of a row behind its generation (word 0). */
const KEY = 1;
export const EXPIRY = 11;
/** Rules version × 2, plus 1 when the peer opened the flow. */
export const MARK = 12;
export const RULE = 13;
/** Which process added it, and for which peer (`originOf`). */
export const ORIGIN = 14;
const HASH = 15;

/** Owner numbers go to 65537. */
const OWNER_BITS = 17;

/** A power of two. */
export const ROW_WORDS = 16;
