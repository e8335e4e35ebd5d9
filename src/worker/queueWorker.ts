/**
 * One queue's data plane on the machine: opens the ports on the inherited descriptors, maps the shared memories, and
 * drives it by the loop. What it does with packets and messages is in `dataPlane.ts`.
 */
import type { WorkerSettings } from '../shared/ipc/messages.ts';
import { errorText } from '../shared/log/errorText.ts';
import type { RootLogger } from '../shared/log/logger.ts';
import { openAsWorker, type SharedTables } from '../shared/memory/layout.ts';
import { Arena } from '../shared/sys/arena.ts';
import { mapReadOnly, mapSharedMemory } from '../shared/sys/sharedMemory.ts';
import { DataPlane, type ToDataPlane } from './dataPlane.ts';
import { Loop } from './loop.ts';
import { familyOf, type WorkerPorts } from './parts.ts';
import type { PuntSink } from './ports/contracts.ts';
import { TunPort } from './ports/tunPort.ts';
import { UdpPort } from './ports/udpPort.ts';
import { WARM_UP_ARENA_BYTES, warmUp } from './warmUp.ts';

export interface WorkerFds {
  readonly tun: number;
  readonly udp: number;
  readonly facts: number;
  readonly common: number;
  readonly own: number;
}

export interface QueueWorkerSurroundings {
  readonly fds: WorkerFds;
  readonly log: RootLogger;
  readonly sink: PuntSink;
  readonly onFault: (error: unknown) => void;
  readonly warmsUp: boolean;
}

/** Receive buffers come on top: send area, tun buffers, one socket address per tunnel. Pages are backed when touched. */
const ARENA_BYTES: number = 64 * 1024 * 1024 + WARM_UP_ARENA_BYTES;
const RECEIVED_BYTES_MAX = 65_536;

export class QueueWorker {
  readonly #surroundings: QueueWorkerSurroundings;
  readonly #hasDevice: boolean;
  readonly #plane: DataPlane;
  #loop: Loop | null = null;

  /** Takes the descriptors and builds everything; `run` starts it. */
  constructor(settings: WorkerSettings, surroundings: QueueWorkerSurroundings) {
    const { fds, sink, log, warmsUp } = surroundings;
    this.#surroundings = surroundings;
    this.#hasDevice = settings.hasDevice;
    const arena = new Arena(ARENA_BYTES + settings.batch * RECEIVED_BYTES_MAX);
    if (warmsUp && settings.hasDevice) {
      warm(settings, arena, log);
    }
    this.#plane = new DataPlane(settings, openTables(settings, fds), openPorts(settings, fds, arena, sink));
  }

  /** Watches the descriptors from now on. */
  run(): void {
    const { fds, onFault } = this.#surroundings;
    this.#loop = new Loop({
      plane: this.#plane,
      tunFd: this.#hasDevice ? fds.tun : null,
      udpFd: fds.udp,
      onFault,
    });
  }

  receive(message: ToDataPlane): void {
    const { log } = this.#surroundings;
    if (this.#loop === null) {
      return;
    }
    if (message.type === 'settings') {
      log.configure(message.settings.log);
    }
    const forgotten = this.#loop.turn(() => this.#plane.perform(message));
    if (forgotten > 0) {
      log.debug('resetting conntrack cache', { len: forgotten });
    }
  }

  close(): void {
    this.#loop?.close();
  }
}

function openTables({ worker }: WorkerSettings, fds: WorkerFds): SharedTables {
  return openAsWorker(
    mapReadOnly(fds.facts).buffer,
    mapSharedMemory(fds.common).buffer,
    mapSharedMemory(fds.own).buffer,
    worker,
  );
}

function warm(settings: WorkerSettings, arena: Arena, log: RootLogger): void {
  try {
    const startMs = performance.now();
    const rounds = warmUp(settings, arena);
    log.debug('warmed up', { rounds, durationMs: Math.round(performance.now() - startMs) });
  } catch (error) {
    log.debug('not warmed up', { reason: errorText(error) });
  }
}

function openPorts(settings: WorkerSettings, fds: WorkerFds, arena: Arena, punts: PuntSink): WorkerPorts {
  const { batch, hasDevice, tunOffload, udpOffloads } = settings;
  return {
    arena,
    udp: new UdpPort(arena, { fd: fds.udp, family: familyOf(settings), batch, offloads: udpOffloads }),
    tun: hasDevice ? new TunPort(arena, { fd: fds.tun, vnetHeader: tunOffload.vnetHeader }) : null,
    punts,
  };
}
