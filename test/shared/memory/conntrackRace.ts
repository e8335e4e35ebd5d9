/**
 * One process of the conntrack race test: maps the table, does its task, reports what it saw to its parent.
 *
 * Tasks: `own` works on flows that no other process touches, against a Map, in buckets that all share; `shared` adds
 * and deletes the same flows as the others; `relay` passes a turn around and checks what the one before it did;
 * `victim` adds and deletes until it is killed.
 */
import { hashTuple } from '../../../src/shared/firewall/tupleHash.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackInsert, ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { mapSharedMemory } from '../../../src/shared/sys/sharedMemory.ts';
import { Random } from '../../support/random.ts';

export interface RaceTask {
  readonly task: 'own' | 'shared' | 'relay' | 'victim';
  /** 0, 1 or 2; the owner number is one more. */
  readonly process: number;
  /** Of this process; for `relay`, of all processes together. */
  readonly operations: number;
}

export interface RaceReport {
  readonly faults: readonly string[];
  readonly operations: number;
  readonly added: number;
  readonly removed: number;
  /** `own`: changes that were given up because the bucket stayed locked. */
  readonly busy: number;
  /** `own`: deletions of what was not there during which somebody, perhaps this process, gave up a change. */
  readonly perhapsBusy: number;
  /** `own`: the longest operation that was not given up. */
  readonly longestMs: number;
}

/** Bytes in front of the table, for the relay's turn. */
export const controlBytes = 64;
export const raceCapacity = 512;
export const raceByteLength: number = controlBytes + ConntrackTable.byteLength(raceCapacity);
/** Fd on which the parent passes the memory. */
export const memoryFd = 4;

/** A time at which no flow of the tests is just expiring. */
export const raceNow = 1_000_000;

export function raceTuple(tuple: PacketTuple, flow: number): PacketTuple {
  tuple.version = (flow & 1) === 0 ? 4 : 6;
  tuple.protocol = 6 + (flow % 3);
  tuple.isFragment = flow % 7 === 0;
  tuple.localPort = flow & 0xffff;
  tuple.remotePort = (flow * 31) & 0xffff;
  tuple.local0 = tuple.version === 4 ? 0 : Math.imul(flow, 0x1f123bb5);
  tuple.local1 = tuple.version === 4 ? 0 : flow;
  tuple.local2 = tuple.version === 4 ? 0xffff : ~flow;
  tuple.local3 = Math.imul(flow, 0x9e3779b1);
  tuple.remote0 = tuple.local0 ^ 0x55;
  tuple.remote1 = tuple.local1;
  tuple.remote2 = tuple.local2;
  tuple.remote3 = Math.imul(flow, 0x2c1b3c6d);
  return tuple;
}

class Racer {
  readonly faults: string[] = [];
  operations = 0;
  added = 0;
  removed = 0;
  busy = 0;
  perhapsBusy = 0;
  longestMs = 0;
  readonly #table: ConntrackTable;
  readonly #control: Int32Array;
  readonly #tuple = new PacketTuple();
  readonly #random: Random;
  readonly #task: RaceTask;

  constructor(buffer: ArrayBuffer, task: RaceTask) {
    this.#table = new ConntrackTable(buffer, controlBytes, raceCapacity, task.process + 1);
    this.#control = new Int32Array(buffer, 0, controlBytes / 4);
    this.#task = task;
    this.#random = new Random(task.process + 77);
  }

  /** 170 flows of this process alone: with those of the others every bucket stays below its eight rows. */
  own(): void {
    const reference = new Map<number, number>();
    const flows = ownFlows(this.#table, this.#task.process);
    for (; this.operations < this.#task.operations; this.operations++) {
      const flow = this.#random.pick(flows);
      const tuple = raceTuple(this.#tuple, flow);
      const hash = hashTuple(tuple, this.#table.seed);
      const expected = reference.get(flow) ?? 0;
      const choice = this.#random.below(8);
      const [startMs, busyBefore] = [performance.now(), this.busy + this.perhapsBusy];
      if (choice === 0) {
        this.#remove(tuple, hash, flow, expected, reference);
      } else if (choice === 1) {
        const expiry = this.#random.below(5) === 0 ? raceNow - 1 : raceNow + this.#random.below(1000);
        const result = this.#table.insert(tuple, hash, (flow & 1) === 1, flow & 0xff, flow, raceNow, expiry, 1);
        if (result === ConntrackInsert.Busy) {
          this.busy++;
        } else {
          const wanted = expected >= raceNow ? ConntrackInsert.Exists : ConntrackInsert.Added;
          this.#expect(result === wanted, `flow ${flow} inserted with ${result}, expiry ${expected}`);
          reference.set(flow, expiry);
        }
      } else {
        this.#look(tuple, hash, flow, expected, reference);
      }
      if (this.busy + this.perhapsBusy === busyBefore) {
        this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
      }
    }
  }

  /** 24 flows for all processes in two or three buckets: constant eviction. Values are functions of the flow. */
  shared(): void {
    const flows = crowdedFlows(this.#table);
    for (; this.operations < this.#task.operations; this.operations++) {
      const flow = this.#random.pick(flows);
      const tuple = raceTuple(this.#tuple, flow);
      const hash = hashTuple(tuple, this.#table.seed);
      const choice = this.#random.below(4);
      if (choice === 0) {
        this.removed += this.#table.remove(tuple, hash) ? 1 : 0;
      } else if (choice === 1) {
        const result = this.#table.insert(tuple, hash, (flow & 1) === 1, flow & 0xff, flow, raceNow, raceNow + flow, 1);
        this.added += result === ConntrackInsert.Added ? 1 : 0;
      } else if (this.#table.find(tuple, hash, raceNow)) {
        this.#expectValues(flow, raceNow + flow);
        this.#table.refreshFound(raceNow + flow);
      }
    }
  }

  /** Turn n: n % 3 = 0 adds flow n, 1 must find it and deletes it, 2 must not find it. `operations` turns of them all. */
  relay(): void {
    for (;;) {
      const turn = Atomics.load(this.#control, 0);
      if (turn >= this.#task.operations) {
        return;
      }
      if (turn % 3 !== this.#task.process) {
        yieldProcessor();
        continue;
      }
      const tuple = raceTuple(this.#tuple, Math.floor(turn / 3));
      const hash = hashTuple(tuple, this.#table.seed);
      const isFound = this.#table.find(tuple, hash, raceNow);
      this.#expect(isFound === (turn % 3 === 1), `turn ${turn} found ${isFound}`);
      if (turn % 3 === 0) {
        this.#table.insert(tuple, hash, true, 1, 1, raceNow, raceNow + 1, 1);
      } else if (turn % 3 === 1) {
        this.#table.remove(tuple, hash);
      }
      this.operations++;
      Atomics.store(this.#control, 0, turn + 1);
    }
  }

  victim(): void {
    const flows = crowdedFlows(this.#table);
    for (;;) {
      const tuple = raceTuple(this.#tuple, this.#random.pick(flows));
      const hash = hashTuple(tuple, this.#table.seed);
      if (this.#random.bool()) {
        this.#table.insert(tuple, hash, true, 1, 1, raceNow, raceNow + 1, 1);
      } else {
        this.#table.remove(tuple, hash);
      }
    }
  }

  #remove(tuple: PacketTuple, hash: number, flow: number, expected: number, reference: Map<number, number>): void {
    const givenUp = this.#table.busyCount;
    const isRemoved = this.#table.remove(tuple, hash);
    this.#expect(!(isRemoved && expected === 0), `flow ${flow} was removed but never added`);
    // Nothing happens when the bucket stays locked: then the flow must still be as it was.
    const isKept = !isRemoved && this.#table.find(tuple, hash, raceNow);
    this.#expect(isRemoved || isKept === expected >= raceNow, `flow ${flow} was not there to remove`);
    if (isKept) {
      this.busy++;
    } else {
      this.perhapsBusy += !isRemoved && this.#table.busyCount !== givenUp ? 1 : 0;
      reference.delete(flow);
    }
  }

  #look(tuple: PacketTuple, hash: number, flow: number, expected: number, reference: Map<number, number>): void {
    const isFound = this.#table.find(tuple, hash, raceNow);
    this.#expect(isFound === expected >= raceNow, `flow ${flow} found ${isFound}, expiry ${expected}`);
    if (isFound) {
      this.#expectValues(flow, expected);
      // A refresh may be skipped while another process has the bucket: then the table still has the old expiry.
      this.#table.refreshFound(expected + 1);
      this.#expect(this.#table.find(tuple, hash, raceNow), `flow ${flow} went with its refresh`);
      reference.set(flow, this.#table.foundExpiry);
    }
  }

  #expectValues(flow: number, expiry: number): void {
    const { foundIncoming, foundVersion, foundRule, foundExpiry } = this.#table;
    const isWhole = foundIncoming === ((flow & 1) === 1) && foundVersion === (flow & 0xff) && foundRule === flow;
    this.#expect(isWhole && foundExpiry === expiry, `torn value of flow ${flow}: ${foundExpiry} for ${expiry}`);
  }

  #expect(isRight: boolean, fault: string): void {
    if (!isRight && this.faults.length < 10) {
      this.faults.push(`process ${this.#task.process}, operation ${this.operations}: ${fault}`);
    }
  }
}

const ownWord = new Int32Array(new SharedArrayBuffer(4));

/** For a process that waits for another one's turn: there may be fewer processors than processes. */
function yieldProcessor(): void {
  Atomics.wait(ownWord, 0, 0, 0.01);
}

/** Flows of one process, chosen so that all processes together put at most seven into a bucket. */
function ownFlows(table: ConntrackTable, process: number): readonly number[] {
  const tuple = new PacketTuple();
  const perBucket = new Int32Array(table.bucketCount);
  const flows: number[] = [];
  for (let flow = 1; flow < 700; flow++) {
    const bucket = (hashTuple(raceTuple(tuple, flow), table.seed) >>> 7) & (table.bucketCount - 1);
    if (perBucket[bucket] < 7) {
      perBucket[bucket]++;
      if (flow % 3 === process) {
        flows.push(flow);
      }
    }
  }
  return flows;
}

/** Flows of the first two buckets, more than they have rows. */
function crowdedFlows(table: ConntrackTable): readonly number[] {
  const tuple = new PacketTuple();
  const flows: number[] = [];
  for (let flow = 1; flows.length < 24; flow++) {
    const bucket = (hashTuple(raceTuple(tuple, flow), table.seed) >>> 7) & (table.bucketCount - 1);
    if (bucket < 2) {
      flows.push(flow);
    }
  }
  return flows;
}

if (process.argv[2] === 'race' && process.send !== undefined) {
  process.once('message', (message) => {
    const task = message as RaceTask;
    const racer = new Racer(mapSharedMemory(memoryFd).buffer, task);
    racer[task.task]();
    const { faults, operations, added, removed, busy, perhapsBusy, longestMs } = racer;
    const report: RaceReport = { faults, operations, added, removed, busy, perhapsBusy, longestMs };
    process.send?.(report, () => process.exit(0));
  });
  process.send('ready');
}
