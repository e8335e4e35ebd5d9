/**
 * What an inspection may look at: a node's parts, read only. `node.ts` hands one out; the local API and its tests use it.
 *
 * Inspections run in the primary between two events of the control plane. They take no lock, change nothing and read
 * shared tables as workers do, so what they say of a busy table is true of a moment shortly before.
 */

import type { IpAddress } from '../../shared/ip/address.ts';
import type { SharedTables } from '../../shared/memory/layout.ts';
import type { Config } from '../config/config.ts';
import type { HostView } from '../control/controlPlane.ts';
import type { Remotes } from '../control/discovery/remotes.ts';
import type { Now } from '../control/now.ts';
import type { HostTroubles } from '../control/tunnels/hostTroubles.ts';
import type { PendingView } from '../control/tunnels/pendingHandshake.ts';
import type { Tunnel } from '../control/tunnels/tunnel.ts';
import type { LighthouseHosts } from '../lighthouse/hosts.ts';
import type { SocketMemory } from '../machine/udpSocket.ts';
import type { Measures } from '../measures/measures.ts';
import type { Identity } from '../pki/identity.ts';
import type { HealthReason } from './health.ts';

/** The control plane, as far as it is asked. */
export interface InspectedControl {
  hosts(): readonly HostView[];
  pending(): readonly PendingView[];
  primary(address: IpAddress): Tunnel | null;
  readonly troubles: HostTroubles;
}

/** Properties are read at every use: configuration, identity and rules version change with a reload. */
export interface NodeView {
  readonly version: string;
  readonly clock: () => Now;
  /** Monotonic milliseconds, on the scale of `clock`. */
  readonly startedMs: number;
  /** null with `tun.disabled`. */
  readonly interfaceName: string | null;
  readonly port: number;
  /** The configuration in force. */
  readonly config: Config;
  readonly identity: Identity;
  readonly rulesVersion: number;
  /** Of the configuration; certificates are looked at when it is asked. */
  readonly health: readonly HealthReason[];
  readonly tables: SharedTables;
  /** By worker; 0 while one is being started again. */
  readonly pids: readonly number[];
  /** By worker: how often it died since the node's start. */
  readonly deaths: readonly number[];
  readonly control: InspectedControl;
  readonly measures: Measures;
  readonly remotes: Remotes;
  /** null when this node is no lighthouse. */
  readonly lighthouse: LighthouseHosts | null;
  /** Counts of the control plane that have no cell in shared memory. */
  readonly counts: ReadonlyMap<string, number>;
  /** Of a worker's UDP socket; null when the kernel does not say. */
  readonly socketMemory: (worker: number) => SocketMemory | null;
}

/** A question that has no answer; `status` is the one of HTTP, `problems` are details for the operator. */
export class InspectionError extends Error {
  readonly status: 400 | 404 | 409;
  readonly problems: readonly string[];

  constructor(status: 400 | 404 | 409, message: string, problems: readonly string[] = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}
