/**
 * The layout of one row of the conntrack table, and how its key is compared, written and read back.
 *
 * Only `conntrackTable.ts` uses this. A row is 16 words (one cache line): generation, addresses, ports, protocol, then
 * the value. Nothing here locks; `readRow` allocates nothing either.
 */
import { isMappedWords } from '../ip/networkWords.ts';
import { PacketTuple } from '../ip/packetTuple.ts';

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
  readKey(words, row, record.tuple);
  const mark = words[row + MARK];
  record.expirySeconds = words[row + EXPIRY];
  record.incoming = (mark & 1) !== 0;
  record.rulesVersion = mark >> 1;
  record.rule = words[row + RULE];
  record.owner = words[row + OWNER];
  return Atomics.load(words, row) === generation && words[tag] === words[row + HASH];
}

export function holdsKey(words: Int32Array, row: number, tuple: PacketTuple, hash: number): boolean {
  return (
    words[row + HASH] === hash &&
    words[row + REMOTE + 3] === tuple.remote3 &&
    words[row + LOCAL + 3] === tuple.local3 &&
    words[row + PORTS] === ((tuple.localPort << 16) | tuple.remotePort) &&
    words[row + PROTOCOL] === (tuple.protocol | (tuple.isFragment ? FRAGMENT : 0)) &&
    words[row + REMOTE + 2] === tuple.remote2 &&
    words[row + LOCAL + 2] === tuple.local2 &&
    words[row + REMOTE + 1] === tuple.remote1 &&
    words[row + LOCAL + 1] === tuple.local1 &&
    words[row + REMOTE] === tuple.remote0 &&
    words[row + LOCAL] === tuple.local0
  );
}

export function writeKey(words: Int32Array, row: number, tuple: PacketTuple, hash: number): void {
  words[row + LOCAL] = tuple.local0;
  words[row + LOCAL + 1] = tuple.local1;
  words[row + LOCAL + 2] = tuple.local2;
  words[row + LOCAL + 3] = tuple.local3;
  words[row + REMOTE] = tuple.remote0;
  words[row + REMOTE + 1] = tuple.remote1;
  words[row + REMOTE + 2] = tuple.remote2;
  words[row + REMOTE + 3] = tuple.remote3;
  words[row + PORTS] = (tuple.localPort << 16) | tuple.remotePort;
  words[row + PROTOCOL] = tuple.protocol | (tuple.isFragment ? FRAGMENT : 0);
  words[row + HASH] = hash;
}

function readKey(words: Int32Array, row: number, tuple: PacketTuple): void {
  tuple.local0 = words[row + LOCAL];
  tuple.local1 = words[row + LOCAL + 1];
  tuple.local2 = words[row + LOCAL + 2];
  tuple.local3 = words[row + LOCAL + 3];
  tuple.remote0 = words[row + REMOTE];
  tuple.remote1 = words[row + REMOTE + 1];
  tuple.remote2 = words[row + REMOTE + 2];
  tuple.remote3 = words[row + REMOTE + 3];
  tuple.localPort = words[row + PORTS] >>> 16;
  tuple.remotePort = words[row + PORTS] & 0xffff;
  tuple.protocol = words[row + PROTOCOL] & 0xff;
  tuple.isFragment = (words[row + PROTOCOL] & FRAGMENT) !== 0;
  tuple.version = isMappedWords(tuple.local0, tuple.local1, tuple.local2) ? 4 : 6;
  tuple.ipHeaderLength = 0;
}

/** Words of a row behind its generation (word 0). */
const LOCAL = 1;
const REMOTE = 5;
const PORTS = 9;
const PROTOCOL = 10;
export const EXPIRY = 11;
/** Rules version × 2, plus 1 when the peer opened the flow. */
export const MARK = 12;
export const RULE = 13;
export const OWNER = 14;
const HASH = 15;

const FRAGMENT = 0x100;
/** A power of two. */
export const ROW_WORDS = 16;
