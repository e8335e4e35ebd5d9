/**
 * Nodes, a network and one clock. Time jumps from event to event, so minutes of protocol take milliseconds and every
 * run with the same seed is the same run.
 */

import type { Now } from '../../src/primary/control/now.ts';
import type { ControlSettings } from '../../src/primary/control/tunnels/context.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import type { Endpoint } from '../../src/shared/ip/address.ts';
import { ep } from '../support/addresses.ts';
import { defaultSettings } from '../support/controlSettings.ts';
import { Random } from '../support/random.ts';
import { type IssueOptions, TestAuthority } from '../support/testAuthority.ts';
import { type Datagram, Network, type NetworkQuality } from './network.ts';
import { SimNode, type SimNodeOptions } from './simNode.ts';

export interface NodeWishes extends Partial<Omit<SimNodeOptions, 'settings'>> {
  readonly settings?: Partial<ControlSettings>;
  readonly issue?: IssueOptions;
  /** Default: 10.42.0.n/24, n counting from 1. */
  readonly networks?: readonly string[];
}

/** One for all worlds: it keeps what it has signed. */
const worldAuthority = new TestAuthority(4711);

const UNIX_MS_AT_START = 1_750_000_000_000;

export class World {
  readonly random: Random;
  readonly network: Network;
  readonly authority: TestAuthority = worldAuthority;
  readonly nodes: SimNode[] = [];
  nowMs = 1000;
  /** How far the wall clock is ahead of the monotonic one; a test may move it. */
  unixOffsetMs = UNIX_MS_AT_START;

  constructor(seed: number, quality?: NetworkQuality) {
    this.random = new Random(seed);
    this.network = new Network(this.random);
    if (quality !== undefined) {
      this.network.quality = quality;
    }
  }

  get now(): Now {
    return { ms: this.nowMs, unixMs: this.unixOffsetMs + this.nowMs };
  }

  /** The moment as a node's own clocks have it. */
  nowOf(node: SimNode): Now {
    return { ms: this.nowMs, unixMs: this.unixOffsetMs + this.nowMs + node.clockErrorMs };
  }

  addNode(name: string, wishes: NodeWishes = {}): SimNode {
    const number = this.nodes.length + 1;
    const { settings, issue, networks, ...rest } = wishes;
    const identity = rest.identity ?? this.identity(name, networks ?? [`10.42.0.${number}/24`], issue);
    const options: SimNodeOptions = {
      endpoint: ep(`192.0.2.${number}:4242`),
      ...rest,
      name,
      identity,
      settings: { ...defaultSettings, ...settings },
    };
    const node = new SimNode(options, new Random(this.random.u32()), (bytes, to) => this.#send(node, bytes, to));
    this.nodes.push(node);
    node.start(this.nowOf(node));
    return node;
  }

  identity(name: string, networks: readonly string[], issue: IssueOptions = {}): Identity {
    return this.authority.identity(name, networks, issue);
  }

  /** Every node gets every other one as a static host. */
  introduceAll(): void {
    for (const node of this.nodes) {
      for (const other of this.nodes) {
        if (other !== node) {
          node.addStaticHost(other.vpnAddress, other.options.nat?.publicEndpoint ?? other.endpoint);
        }
      }
    }
  }

  ping(from: SimNode, to: SimNode, text: string = 'ping'): void {
    from.sendOverlay(this.nowOf(from), to.vpnAddress, text);
  }

  /** Lets time pass; returns when everything due until then has happened. */
  run(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    for (let nextMs = this.#nextMs(); nextMs !== null && nextMs <= untilMs; nextMs = this.#nextMs()) {
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.#step();
    }
    this.nowMs = untilMs;
  }

  /** Calls `action` at every interval while time passes. */
  runWith(durationMs: number, intervalMs: number, action: () => void): void {
    const untilMs = this.nowMs + durationMs;
    while (this.nowMs < untilMs) {
      action();
      this.run(Math.min(intervalMs, untilMs - this.nowMs));
    }
  }

  /** Like `run`, until `condition` holds; returns the milliseconds it took, or null when it never did. */
  runUntil(maxMs: number, condition: () => boolean): number | null {
    const startMs = this.nowMs;
    while (!condition()) {
      if (this.nowMs - startMs >= maxMs) {
        return null;
      }
      this.run(1);
    }
    return this.nowMs - startMs;
  }

  #nextMs(): number | null {
    const times = this.nodes.filter((node) => node.isUp).map((node) => node.nextMs);
    const known = [this.network.nextMs, ...times].filter((time) => time !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  #step(): void {
    for (let datagram = this.network.takeDue(this.nowMs); datagram !== null; ) {
      this.#deliver(datagram);
      datagram = this.network.takeDue(this.nowMs);
    }
    for (const node of this.nodes) {
      const nextMs = node.isUp ? node.nextMs : null;
      if (nextMs !== null && nextMs <= this.nowMs) {
        node.onTimer(this.nowOf(node));
      }
    }
  }

  #send(node: SimNode, bytes: Uint8Array, to: Endpoint): void {
    const { nat } = node.options;
    nat?.noteSent(to, this.nowMs);
    this.network.send({ from: nat?.publicEndpoint ?? node.endpoint, to, bytes: new Uint8Array(bytes) }, this.nowMs);
  }

  #deliver({ from, to, bytes }: Datagram): void {
    const node = this.nodes.find((candidate) => {
      const { nat } = candidate.options;
      return (nat?.publicEndpoint ?? candidate.endpoint).text === to.text;
    });
    const isLetIn = node?.options.nat?.letsIn(from, this.nowMs) ?? true;
    if (node?.isUp && isLetIn) {
      node.onDatagram(this.nowOf(node), new Uint8Array(bytes), from);
    }
  }
}
