/**
 * Lighthouse messages that came through a tunnel before the primary heard of its first packet: the host is entered in
 * the lighthouse's table when it does, a moment later, and until then its update would find no row. A few, opened, and
 * briefly; handed out when tunnels have come up.
 */
import { Proof } from '../../shared/memory/tunnelTable.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunnelContext, TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';

const MESSAGES_MAX = 256;
const MESSAGES_PER_TUNNEL_MAX = 4;
const BYTES_MAX = 4096;
/** The primary that takes longer has forgotten the tunnel. */
const KEPT_MS = 2000;

/** A body, and the tunnel that it came through. */
export interface HeldMessage {
  readonly slot: number;
  readonly generation: number;
  readonly body: Uint8Array;
  readonly untilMs: number;
}

export class HeldMessages {
  readonly #arena: Arena;
  /** In the order in which they came. */
  #messages: readonly HeldMessage[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Keeps a copy of the body at `offset`; false when there is no room for it. */
  keep(context: TunnelContext, offset: number, length: number, nowMs: number): boolean {
    const { slot, generation } = context;
    const kept = this.#messages.filter(({ untilMs }) => untilMs >= nowMs);
    const ofTunnel = kept.filter((message) => message.slot === slot && message.generation === generation);
    if (length > BYTES_MAX || kept.length >= MESSAGES_MAX || ofTunnel.length >= MESSAGES_PER_TUNNEL_MAX) {
      return false;
    }
    const body = this.#arena.bytes.slice(offset, offset + length);
    this.#messages = [...kept, { slot, generation, body, untilMs: nowMs + KEPT_MS }];
    return true;
  }

  /** Removes and returns those whose tunnels are confirmed by now, in their order. Those of tunnels that ended are dropped. */
  takeConfirmed(contexts: TunnelContexts, nowMs: number): readonly HeldMessage[] {
    const { tunnels } = contexts;
    const live = this.#messages.filter(
      ({ slot, generation, untilMs }) => untilMs >= nowMs && tunnels.generation(slot) === generation,
    );
    const isConfirmed = ({ slot }: HeldMessage): boolean => tunnels.wantedProof(slot) === Proof.None;
    this.#messages = live.filter((message) => !isConfirmed(message));
    return live.filter(isConfirmed);
  }
}
