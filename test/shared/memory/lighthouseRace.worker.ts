/**
 * One worker of the lighthouse table's race test: reads hosts and replaces what they report, over and over, and checks
 * that every record it reads is one that somebody wrote in one piece.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { addressFromBytes, type Endpoint } from '../../../src/shared/ip/address.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { LighthouseDecoder } from '../../../src/shared/wire/lighthouseDecoder.ts';
import { LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import {
  endpointsOf,
  LighthouseMessage,
  LighthouseType,
  relaysOf,
} from '../../../src/shared/wire/lighthouseMessage.ts';
import { lighthouseTable, workerTurns } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';

export interface RaceCommand {
  readonly memory: SharedArrayBuffer;
  readonly turnsMemory: SharedArrayBuffer;
  readonly capacity: number;
  readonly worker: number;
  readonly stop: Int32Array;
  readonly seed: number;
  /** Written now and then: reads and writes so far. */
  readonly progress: Int32Array;
}

export interface RaceResult {
  readonly reads: number;
  readonly writes: number;
  /** Lookups of hosts that were there all the time and were not found. */
  readonly missed: number;
  readonly faults: readonly string[];
}

const command = workerData as RaceCommand;
const table = lighthouseTable(command.capacity, command.memory);
const turns = workerTurns(3, command.turnsMemory);
const random = new Random(command.seed);
const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX + 4);
const view = new DataView(bytes.buffer);
const decoder = new LighthouseDecoder();
const message = new LighthouseMessage();
const faults: string[] = [];
let reads = 0;
let writes = 0;
let missed = 0;

while (Atomics.load(command.stop, 0) === 0 && faults.length < 5) {
  for (let step = 0; step < 500; step++) {
    turns.begin(command.worker);
    const index = random.below(8);
    const isFirst = random.bool();
    const address = addressFromBytes(Uint8Array.of(10, 0, 0, isFirst ? index : index + 100));
    const [a0, a1, a2, a3] = addressWords([address]);
    const row = table.lookup(a0, a1, a2, a3);
    if (row < 0) {
      missed += index < 4 ? 1 : 0;
    } else if (random.below(3) === 0) {
      write(row, index);
    } else {
      const length = table.encode(
        row,
        a0,
        a1,
        a2,
        a3,
        bytes,
        view,
        0,
        LighthouseType.HostQueryReply,
        2,
        a0,
        a1,
        a2,
        a3,
      );
      if (length > 0) {
        check(length, index);
      }
    }
    turns.end(command.worker);
  }
  Atomics.store(command.progress, 0, reads);
  Atomics.store(command.progress, 1, writes);
}
const result: RaceResult = { reads, writes, missed, faults };
parentPort?.postMessage(result);

/** A report in which everything follows from one number: how many entries, and what is in each. */
function write(row: number, index: number): void {
  const mark = random.u32() & 0xffff;
  message.reset();
  for (let entry = 0; entry < mark % 11; entry++) {
    message.addV4((50 << 24) | (index << 16) | mark, mark || 1);
  }
  for (let entry = 0; entry < mark % 7; entry++) {
    message.addV6(0x20010db8, index, mark, ~mark, mark || 1);
  }
  for (let entry = 0; entry < mark % 5; entry++) {
    message.addRelay(0x20010db8, index, mark, entry);
  }
  writes += table.writeReported(row, command.worker + 1, message) ? 1 : 0;
}

function check(length: number, index: number): void {
  reads++;
  if (decoder.decode(bytes, 0, length, message) !== 0) {
    faults.push(`not decodable: ${Buffer.from(bytes.subarray(0, length)).toString('hex')}`);
    return;
  }
  const endpoints = endpointsOf(message);
  const learned = endpoints.filter((endpoint) => endpoint.address.bytes[0] === 100);
  const reported = endpoints.filter((endpoint) => endpoint.address.bytes[0] === 50);
  const six = endpoints.filter((endpoint) => endpoint.address.family === 6);
  if (learned.some((endpoint) => !isLearned(endpoint, index))) {
    faults.push(`torn learned endpoint of host ${index}: ${learned.map((endpoint) => endpoint.text).join()}`);
  }
  const marks = new Set([
    ...reported.map(({ address }) => (address.bytes[2] << 8) | address.bytes[3]),
    ...six.map(({ address }) => (address.bytes[10] << 8) | address.bytes[11]),
    ...relaysOf(message).map(({ bytes: relay }) => (relay[10] << 8) | relay[11]),
  ]);
  const owners = new Set([
    ...reported.map(({ address }) => address.bytes[1]),
    ...six.map(({ address }) => address.bytes[7]),
  ]);
  if (marks.size > 1 || (owners.size > 0 && (owners.size > 1 || !owners.has(index)))) {
    faults.push(`mixed report of host ${index}: ${[...endpoints.map((endpoint) => endpoint.text)].join()}`);
    return;
  }
  const [mark] = marks;
  // With the learned endpoint ten reported ones make eleven, of which the decoder looks at ten.
  const expected = mark === undefined ? 0 : Math.min(mark % 11, 10 - learned.length);
  if (reported.length !== expected || (mark !== undefined && six.length !== mark % 7)) {
    faults.push(`incomplete report of host ${index}: mark ${mark}, ${reported.length} and ${six.length} endpoints`);
  }
}

function isLearned({ address, port }: Endpoint, index: number): boolean {
  return address.bytes[1] === index && ((address.bytes[2] << 8) | address.bytes[3]) === port;
}
