/**
 * A worker of a test in the test's own process: the product's data plane over ports in memory, and the ring by which it
 * speaks to whoever plays the primary. It has no loop: the test gives it its turns.
 */
import { CHANNEL_BYTES, FrameReader, FrameWriter } from '../../src/shared/ipc/frameRing.ts';
import { decodeFrame } from '../../src/shared/ipc/frames.ts';
import type { Punt, WorkerSettings } from '../../src/shared/ipc/messages.ts';
import { openAsWorker, type SharedMemories } from '../../src/shared/memory/layout.ts';
import type { Arena } from '../../src/shared/sys/arena.ts';
import { DataPlane, type ToDataPlane } from '../../src/worker/dataPlane.ts';
import { familyOf } from '../../src/worker/parts.ts';
import { MemoryTun, MemoryUdp, type PortSizes } from './memoryPorts.ts';

export class LocalWorker {
  readonly tun: MemoryTun;
  readonly udp: MemoryUdp;
  readonly plane: DataPlane;
  readonly #reader: FrameReader;
  readonly #tunnels: number;

  constructor(settings: WorkerSettings, memories: SharedMemories, arena: Arena, sizes?: PortSizes) {
    const { worker } = settings;
    const tables = openAsWorker(memories.facts, memories.common, memories.own[worker], worker);
    const ring = new ArrayBuffer(CHANNEL_BYTES);
    this.#reader = new FrameReader(ring);
    this.#tunnels = tables.tunnels.capacity;
    this.tun = new MemoryTun(arena, sizes);
    this.udp = new MemoryUdp(arena, familyOf(settings), sizes);
    const frames = new FrameWriter(ring);
    this.plane = new DataPlane(settings, tables, {
      arena,
      tun: settings.hasDevice ? this.tun : null,
      udp: this.udp,
      punts: { frames, flush: () => void frames.publish() },
    });
  }

  /** One turn for both directions, as after a wake-up by the tun queue and the socket. */
  turn(nowMs: number): void {
    this.#begin(nowMs);
    this.plane.send();
    this.plane.receive();
    this.#end();
  }

  /** A turn for a message of the primary, which travels as a structured clone. */
  tell(message: ToDataPlane, nowMs: number): void {
    this.#begin(nowMs);
    this.plane.perform(structuredClone(message));
    this.#end();
  }

  /** Adds what it has said to the primary since the last call. Throws what would end a worker. */
  takePunts(punts: Punt[]): void {
    for (let bytes = this.#reader.read(); bytes !== null; bytes = this.#reader.read()) {
      const frame = typeof bytes === 'string' ? bytes : decodeFrame(bytes, this.#tunnels);
      if (typeof frame === 'string') {
        throw new Error(`worker broke the protocol: ${frame}`);
      }
      punts.push(frame as Punt);
    }
  }

  #begin(nowMs: number): void {
    this.plane.begin(nowMs, Math.floor(nowMs / 1000));
  }

  #end(): void {
    if (this.plane.end() !== 0) {
      throw new Error('a port in memory refused to flush');
    }
  }
}
