/**
 * Sends the answers to refused packets, when the configuration asks for them: back into the tun for this node's own
 * packets, through the tunnel for a peer's. (Nebula protocol: reject packets; directions as since 1.11.)
 */
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunnelContext } from '../../shared/tunnel/tunnelContext.ts';
import { MessageType, Subtype } from '../../shared/wire/header.ts';
import type { PacketSink } from '../ports/contracts.ts';
import { buildReject, REJECT_BYTES_MAX } from './rejectMessage.ts';
import type { Sender } from './sender.ts';

export interface RejectActions {
  /** `firewall.inbound_action: reject`. */
  readonly inbound: boolean;
  /** `firewall.outbound_action: reject`. */
  readonly outbound: boolean;
}

export class Rejects {
  readonly #arena: Arena;
  readonly #tun: PacketSink | null;
  readonly #sender: Sender;
  readonly #buffer: number;
  #actions: RejectActions;

  constructor(arena: Arena, tun: PacketSink | null, sender: Sender, actions: RejectActions) {
    this.#arena = arena;
    this.#tun = tun;
    this.#sender = sender;
    this.#buffer = arena.allocate(REJECT_BYTES_MAX, 64);
    this.#actions = actions;
  }

  reconfigure(actions: RejectActions): void {
    this.#actions = actions;
  }

  /** Answers this node's own packet of `length` bytes at `offset`, which was parsed into `tuple`. */
  outbound(tuple: PacketTuple, offset: number, length: number): void {
    const bytes = this.#actions.outbound ? this.#build(tuple, offset, length) : 0;
    if (bytes > 0) {
      this.#tun?.write(this.#buffer, bytes);
    }
  }

  /** Answers a peer's packet, which was parsed into `tuple`, through its tunnel, past this node's own firewall. */
  inbound(context: TunnelContext, tuple: PacketTuple, offset: number, length: number): void {
    const bytes = this.#actions.inbound ? this.#build(tuple, offset, length) : 0;
    if (bytes > 0) {
      this.#sender.send(context, MessageType.Message, Subtype.None, 0, this.#buffer, bytes);
    }
  }

  #build(tuple: PacketTuple, offset: number, length: number): number {
    const { bytes, view } = this.#arena;
    return buildReject(bytes, view, offset, length, tuple, this.#buffer);
  }
}
