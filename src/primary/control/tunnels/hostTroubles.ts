/**
 * Why hosts that this node wants to reach are not reached: what was tried, what came back, what could not be sent. The
 * memory behind `weft status`, `hosts` and `why`; the words are `troubleTexts.ts`'s.
 *
 *   attempt ─▶ trouble of that host ─┬─▶ an answer is refused, a datagram is not sent: the last of each kind stays
 *                                    └─▶ a tunnel is up: forgotten
 *
 * Only this node's own wishes make an entry of a host, and strangers only change who of a few callers was refused last:
 * everything is bounded, the one that nothing was heard of for longest goes first. Decides nothing; costs nothing where
 * handshakes succeed at once.
 */
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { Now } from '../now.ts';

const HOSTS_MAX = 1024;
const CALLERS_MAX = 16;
const UNSENT_MAX = 64;

const NO_HINTS: Hints = { forbidden: [], relays: [] };

export const AnswerFault = {
  /** Noise could not read it: another cipher, or not from the host at all. */
  Unreadable: 'unreadable',
  /** Its certificate or its content. */
  Refused: 'refused',
  /** Another host than the one that was asked. */
  Stranger: 'stranger',
  Self: 'self',
} as const;
export type AnswerFault = (typeof AnswerFault)[keyof typeof AnswerFault];

/** Answers of one kind that did not become a tunnel. */
export interface BadAnswers {
  readonly fault: AnswerFault;
  readonly count: number;
  /** Of the last one. */
  readonly from: Endpoint;
  readonly reason: string;
  readonly atMs: number;
}

/** What was said of a host and cannot be used. */
export interface Hints {
  /** Endpoints that an allow list forbids, or that are inside an own network. */
  readonly forbidden: readonly Endpoint[];
  readonly relays: readonly IpAddress[];
}

/** A host that has not been reached since it was first tried. */
export interface HostTrouble {
  readonly address: IpAddress;
  readonly sinceMs: number;
  readonly lastAttemptMs: number;
  /** Over all handshakes since then. */
  readonly attempts: number;
  /** Of the last attempt. */
  readonly endpoints: readonly Endpoint[];
  /** Without endpoints: what else is known of where it is. */
  readonly hints: Hints;
  /** This node could not even begin. */
  readonly ownFault: string | null;
  /** At most one of each kind. */
  readonly badAnswers: readonly BadAnswers[];
}

/** Something that happens again and again at one endpoint. */
export interface EndpointTrouble {
  readonly endpoint: Endpoint;
  readonly reason: string;
  readonly count: number;
  readonly atMs: number;
}

export class HostTroubles {
  readonly #hosts = new Recent<HostTrouble>(HOSTS_MAX);
  readonly #callers = new Recent<EndpointTrouble>(CALLERS_MAX);
  readonly #unsent = new Recent<EndpointTrouble>(UNSENT_MAX);

  /** A handshake message goes out to these endpoints; there may be none, and then `hints` tell of the rest. */
  attempted(now: Now, address: IpAddress, endpoints: readonly Endpoint[], hints: Hints = NO_HINTS): void {
    this.#tried(now, address, endpoints, hints, null);
  }

  /** There was no message to send. */
  notStarted(now: Now, address: IpAddress, reason: string): void {
    this.#tried(now, address, [], NO_HINTS, reason);
  }

  /** Something came back that is of no use. Only of a host that is being tried. */
  answerRefused(now: Now, address: IpAddress, from: Endpoint, fault: AnswerFault, reason: string): void {
    const trouble = this.#hosts.get(address.text);
    if (trouble !== null) {
      const others = trouble.badAnswers.filter((answers) => answers.fault !== fault);
      const count = 1 + (trouble.badAnswers.find((answers) => answers.fault === fault)?.count ?? 0);
      const badAnswers = [{ fault, count, from, reason, atMs: now.ms }, ...others];
      this.#hosts.set(address.text, { ...trouble, badAnswers });
    }
  }

  /** Somebody's first message was refused. */
  callRefused(now: Now, from: Endpoint, reason: string): void {
    note(this.#callers, now.ms, from, reason);
  }

  /** The kernel did not take a datagram for this endpoint. Returns how often in a row, with this reason. */
  notSent(nowMs: number, endpoint: Endpoint, reason: string): number {
    return note(this.#unsent, nowMs, endpoint, reason);
  }

  /** There is a tunnel to these addresses. */
  reached(addresses: readonly IpAddress[]): void {
    for (const { text } of addresses) {
      this.#hosts.delete(text);
    }
  }

  /** By the text of its vpn address. */
  of(address: string): HostTrouble | null {
    return this.#hosts.get(address);
  }

  /** The one tried longest ago first. */
  all(): readonly HostTrouble[] {
    return this.#hosts.all();
  }

  /** Whose first messages were refused, the last one last. */
  callers(): readonly EndpointTrouble[] {
    return this.#callers.all();
  }

  refusedCaller(endpoint: Endpoint): EndpointTrouble | null {
    return this.#callers.get(endpoint.text);
  }

  unsent(endpoint: Endpoint): EndpointTrouble | null {
    return this.#unsent.get(endpoint.text);
  }

  #tried(now: Now, address: IpAddress, endpoints: readonly Endpoint[], hints: Hints, ownFault: string | null): void {
    const known = this.#hosts.get(address.text);
    this.#hosts.set(address.text, {
      address,
      sinceMs: known?.sinceMs ?? now.ms,
      lastAttemptMs: now.ms,
      attempts: 1 + (known?.attempts ?? 0),
      endpoints,
      hints,
      ownFault,
      badAnswers: known?.badAnswers ?? [],
    });
  }
}

function note(memory: Recent<EndpointTrouble>, nowMs: number, endpoint: Endpoint, reason: string): number {
  const known = memory.get(endpoint.text);
  const count = known?.reason === reason ? known.count + 1 : 1;
  memory.set(endpoint.text, { endpoint, reason, count, atMs: nowMs });
  return count;
}

/** Values by key, the one set longest ago first; that one goes when there are too many. */
class Recent<Value> {
  readonly #max: number;
  readonly #values = new Map<string, Value>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): Value | null {
    return this.#values.get(key) ?? null;
  }

  set(key: string, value: Value): void {
    // Anew at the end, which keeps the order.
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size > this.#max) {
      for (const oldest of this.#values.keys()) {
        this.#values.delete(oldest);
        break;
      }
    }
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  all(): readonly Value[] {
    return [...this.#values.values()];
  }
}
