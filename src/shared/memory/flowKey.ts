/**
 * A flow's key as ten words of a table: local address, remote address, ports, protocol.
 *
 * For the conntrack table and the workers' cache in front of it. `holdsFlow` runs per packet; nothing here allocates.
 */
import { isMappedWords } from '../ip/networkWords.ts';
import type { PacketTuple } from '../ip/packetTuple.ts';

/** What differs most often between two flows is compared first. */
export function holdsFlow(words: Int32Array, key: number, tuple: PacketTuple): boolean {
  return (
    words[key + REMOTE + 3] === tuple.remote3 &&
    words[key + LOCAL + 3] === tuple.local3 &&
    words[key + PORTS] === ((tuple.localPort << 16) | tuple.remotePort) &&
    words[key + PROTOCOL] === (tuple.protocol | (tuple.isFragment ? FRAGMENT : 0)) &&
    words[key + REMOTE + 2] === tuple.remote2 &&
    words[key + LOCAL + 2] === tuple.local2 &&
    words[key + REMOTE + 1] === tuple.remote1 &&
    words[key + LOCAL + 1] === tuple.local1 &&
    words[key + REMOTE] === tuple.remote0 &&
    words[key + LOCAL] === tuple.local0
  );
}

export function writeFlow(words: Int32Array, key: number, tuple: PacketTuple): void {
  words[key + LOCAL] = tuple.local0;
  words[key + LOCAL + 1] = tuple.local1;
  words[key + LOCAL + 2] = tuple.local2;
  words[key + LOCAL + 3] = tuple.local3;
  words[key + REMOTE] = tuple.remote0;
  words[key + REMOTE + 1] = tuple.remote1;
  words[key + REMOTE + 2] = tuple.remote2;
  words[key + REMOTE + 3] = tuple.remote3;
  words[key + PORTS] = (tuple.localPort << 16) | tuple.remotePort;
  words[key + PROTOCOL] = tuple.protocol | (tuple.isFragment ? FRAGMENT : 0);
}

export function readFlow(words: Int32Array, key: number, tuple: PacketTuple): void {
  tuple.local0 = words[key + LOCAL];
  tuple.local1 = words[key + LOCAL + 1];
  tuple.local2 = words[key + LOCAL + 2];
  tuple.local3 = words[key + LOCAL + 3];
  tuple.remote0 = words[key + REMOTE];
  tuple.remote1 = words[key + REMOTE + 1];
  tuple.remote2 = words[key + REMOTE + 2];
  tuple.remote3 = words[key + REMOTE + 3];
  tuple.localPort = words[key + PORTS] >>> 16;
  tuple.remotePort = words[key + PORTS] & 0xffff;
  tuple.protocol = words[key + PROTOCOL] & 0xff;
  tuple.isFragment = (words[key + PROTOCOL] & FRAGMENT) !== 0;
  tuple.version = isMappedWords(tuple.local0, tuple.local1, tuple.local2) ? 4 : 6;
  tuple.ipHeaderLength = 0;
}

/** Words of a key. */
const LOCAL = 0;
const REMOTE = 4;
const PORTS = 8;
const PROTOCOL = 9;

const FRAGMENT = 0x100;
