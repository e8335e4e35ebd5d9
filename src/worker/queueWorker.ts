/**
 * One queue's data plane: the parts on the inherited descriptors, the loop that drives them, the primary's messages.
 *
 * Parts live as long as the process; what the configuration decides (routes, rules, labels) is replaced as a whole on
 * reload, between two turns.
 */
import type { ToWorker, WorkerSettings } from '../shared/ipc/messages.ts';
import type { RootLogger } from '../shared/log/logger.ts';
import { Inbound } from './datapath/inbound.ts';
import { Outbound } from './datapath/outbound.ts';
import { Waiting } from './datapath/waiting.ts';
import { Loop } from './loop.ts';
import { Segmenter } from './offload/segment.ts';
import {
  buildParts,
  buildRules,
  endpointFilter,
  type Rules,
  rejectActions,
  type WorkerFds,
  type WorkerParts,
} from './parts.ts';
import type { PuntSink } from './punts.ts';

export interface QueueWorkerSurroundings {
  readonly fds: WorkerFds;
  readonly log: RootLogger;
  readonly sink: PuntSink;
  readonly onFault: (error: unknown) => void;
}

/** The longest inner packet that is sealed: Nebula's own packet buffers end here. */
const INNER_BYTES_MAX = 9001;

export class QueueWorker {
  readonly #surroundings: QueueWorkerSurroundings;
  readonly #worker: number;
  readonly #parts: WorkerParts;
  readonly #outbound: Outbound | null;
  readonly #inbound: Inbound;
  #rules: Rules;
  #loop: Loop | null = null;

  /** Takes the descriptors and builds everything; `run` starts it. */
  constructor(settings: WorkerSettings, surroundings: QueueWorkerSurroundings) {
    this.#surroundings = surroundings;
    this.#worker = settings.worker;
    const parts = buildParts(settings, surroundings.fds, surroundings.sink);
    const { arena, tun, tuple } = parts;
    this.#parts = parts;
    this.#rules = buildRules(settings, parts);
    this.#inbound = new Inbound(parts, this.#rules, tuple);
    this.#outbound =
      tun === null
        ? null
        : new Outbound(
            {
              ...parts,
              tun,
              waiting: new Waiting(),
              segmenter: new Segmenter(arena, INNER_BYTES_MAX),
            },
            this.#rules,
            tuple,
          );
  }

  /** Watches the descriptors from now on. */
  run(): void {
    const { fds, onFault } = this.#surroundings;
    const { tables, tun, udp, punts, cache, metrics } = this.#parts;
    this.#loop = new Loop({
      worker: this.#worker,
      turns: tables.turns,
      tunFd: tun === null ? null : fds.tun,
      udpFd: fds.udp,
      udp,
      outbound: this.#outbound,
      inbound: this.#inbound,
      punts,
      cache,
      metrics,
      onFault,
    });
  }

  receive(message: Exclude<ToWorker, { type: 'start' | 'stop' }>): void {
    const loop = this.#loop;
    if (loop === null) {
      return;
    }
    switch (message.type) {
      case 'settings':
        this.#reconfigure(message.settings);
        break;
      case 'hostUp':
        loop.turn(() => {
          for (const address of message.addresses) {
            this.#outbound?.release(address, loop.nowSeconds);
          }
          this.#inbound.release(loop.nowMs, loop.nowSeconds);
        });
        break;
      case 'hostFailed':
        this.#outbound?.abandon(message.address);
        break;
      case 'tunnelsClosed':
        loop.turn(() => {
          for (const slot of message.slots) {
            this.#parts.contexts.release(slot);
            this.#rules.peers.release(slot);
          }
        });
        break;
      case 'tick':
        this.#tick(message.version);
        break;
    }
  }

  close(): void {
    this.#loop?.close();
  }

  #tick(version: number): void {
    const entries = this.#parts.cache.tick(version, performance.now());
    if (entries > 0) {
      this.#surroundings.log.debug('resetting conntrack cache', { len: entries });
    }
  }

  #reconfigure(settings: WorkerSettings): void {
    const { rejects, lighthouse, strangers } = this.#parts;
    this.#surroundings.log.configure(settings.log);
    rejects.reconfigure(rejectActions(settings));
    strangers.trust(settings.caNames.keys());
    if (settings.lighthouse !== null) {
      lighthouse?.applyFilter(endpointFilter(settings.lighthouse, settings));
    }
    this.#rules = buildRules(settings, this.#parts);
    this.#outbound?.reconfigure(this.#rules);
    this.#inbound.reconfigure(this.#rules);
  }
}
