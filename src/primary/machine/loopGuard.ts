/**
 * Keeps the node from sending to an endpoint through its own device: an unsafe route that covers the underlay of its own
 * gateway would have every datagram come back as a packet for the overlay. Whether the kernel would do so is asked of the
 * kernel, with the mark of the node's sockets, so a policy rule for that mark counts.
 *
 * Only endpoints inside an unsafe route are asked about, and an answer is good for a second. Data that a tunnel of before
 * still sends is dropped by the worker (`router.ts`, own datagram).
 */
import { type Endpoint, prefixContains } from '../../shared/ip/address.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Config } from '../config/config.ts';
import type { Netlink } from './netlink.ts';

export interface LoopGuardParts {
  readonly netlink: Pick<Netlink, 'linkTowards'>;
  readonly device: string;
  readonly linkIndex: number;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number;
}

interface Answer {
  readonly isLoop: boolean;
  readonly untilMs: number;
}

const ANSWER_MS = 1000;
const ANSWERS_MAX = 1024;

export class LoopGuard {
  readonly #parts: LoopGuardParts;
  readonly #nowMs: () => number;
  /** By address. */
  readonly #answers: Map<string, Answer> = new Map();
  /** Addresses that were told of, as long as they are a loop. */
  readonly #told = new Set<string>();

  constructor(parts: LoopGuardParts) {
    this.#parts = parts;
    this.#nowMs = parts.nowMs ?? (() => performance.now());
  }

  isLoop({ address, text }: Endpoint, { tun, listen }: Config): boolean {
    if (!tun.unsafeRoutes.some(({ route }) => prefixContains(route, address))) {
      return false;
    }
    const nowMs = this.#nowMs();
    const known = this.#answers.get(address.text);
    if (known !== undefined && known.untilMs > nowMs) {
      return known.isLoop;
    }
    const { netlink, linkIndex } = this.#parts;
    const isLoop = netlink.linkTowards(address, listen.soMark) === linkIndex;
    if (this.#answers.size >= ANSWERS_MAX) {
      this.#answers.clear();
      this.#told.clear();
    }
    this.#answers.set(address.text, { isLoop, untilMs: nowMs + ANSWER_MS });
    this.#tell(address.text, text, isLoop);
    return isLoop;
  }

  #tell(address: string, endpoint: string, isLoop: boolean): void {
    if (!isLoop) {
      this.#told.delete(address);
    } else if (!this.#told.has(address)) {
      this.#told.add(address);
      const { log, device } = this.#parts;
      log.warn('An endpoint is passed over: this machine would send to it through the overlay itself', {
        udpAddr: endpoint,
        interface: device,
        remedy: 'set listen.so_mark and an ip rule for that mark, or add a route to the endpoint',
      });
    }
  }
}
