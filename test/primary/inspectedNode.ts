/**
 * A node as inspections see it, without processes: tables over plain memory, an identity and tunnels made here, a clock
 * that stands still. Own address 10.0.0.1/24; peers are added by a test.
 */

import type { Config } from '../../src/primary/config/config.ts';
import { parseConfig } from '../../src/primary/config/loader.ts';
import { formatProblem } from '../../src/primary/config/problems.ts';
import type { HostView } from '../../src/primary/control/controlPlane.ts';
import { Remotes } from '../../src/primary/control/discovery/remotes.ts';
import { HostTroubles } from '../../src/primary/control/tunnels/hostTroubles.ts';
import type { PendingView } from '../../src/primary/control/tunnels/pendingHandshake.ts';
import { Tunnel } from '../../src/primary/control/tunnels/tunnel.ts';
import type { HealthReason } from '../../src/primary/inspection/health.ts';
import type { NodeView } from '../../src/primary/inspection/nodeView.ts';
import { LighthouseHosts } from '../../src/primary/lighthouse/hosts.ts';
import type { SocketMemory } from '../../src/primary/machine/udpSocket.ts';
import type { Measures } from '../../src/primary/measures/measures.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { TunnelRows } from '../../src/primary/tables/tunnelRows.ts';
import type { Certificate } from '../../src/shared/cert/certificate.ts';
import { hashTuple } from '../../src/shared/firewall/tupleHash.ts';
import type { IpAddress } from '../../src/shared/ip/address.ts';
import { initializeShared, openShared, type SharedTables } from '../../src/shared/memory/layout.ts';
import { monotonicSeconds } from '../../src/shared/sys/clock.ts';
import { type CertificateSpec, certificate, type TupleSpec, tupleOf } from '../shared/firewall/certificates.ts';
import { ep } from '../support/addresses.ts';
import { privateMemories } from '../support/memories.ts';
import { TEST_NOT_AFTER, TestAuthority } from '../support/testAuthority.ts';

const NOW = { ms: 5_000_000, unixMs: (TEST_NOT_AFTER - 10 * 86_400) * 1000 };
const CAPACITIES = { workers: 2, tunnels: 16, flows: 256, lighthouseHosts: 16 };

export interface FlowSpec extends TupleSpec {
  readonly incoming: boolean;
  readonly rule: number;
  readonly rulesVersion?: number;
  /** Default 60. */
  readonly secondsLeft?: number;
  readonly worker?: number;
}

export class InspectedNode implements NodeView {
  readonly version = '1.2.3';
  readonly clock = () => NOW;
  readonly startedMs = NOW.ms - 90_500;
  readonly interfaceName = 'weft0';
  readonly port = 4242;
  readonly pids = [4711, 0];
  readonly deaths = [0, 3];
  readonly remotes = new Remotes();
  readonly counts = new Map([['tunnels.established', 2]]);
  readonly identity: Identity;
  readonly tables: SharedTables;
  readonly lighthouse: LighthouseHosts | null;
  readonly pending: PendingView[] = [];
  readonly troubles = new HostTroubles();
  readonly control = {
    troubles: this.troubles,
    hosts: (): readonly HostView[] => this.#hosts,
    pending: (): readonly PendingView[] => this.pending,
    primary: (address: IpAddress): Tunnel | null =>
      this.#hosts.find(({ tunnel }) => tunnel.vpnAddresses.some(({ text }) => text === address.text))?.tunnel ?? null,
  };
  readonly memories = privateMemories(CAPACITIES);
  readonly rows: TunnelRows;
  readonly measures: Measures;
  readonly #hosts: HostView[] = [];
  config: Config;
  rulesVersion = 1;
  readonly health: HealthReason[] = [];

  /** `tree` is what the configuration says beside `pki`. */
  constructor(tree: Readonly<Record<string, unknown>> = {}) {
    const authority = new TestAuthority(1);
    this.identity = authority.identity('me', ['10.0.0.1/24']);
    this.config = configOf(tree);
    this.tables = initializeShared(this.memories, CAPACITIES);
    this.tables.conntrack.initialize(99);
    this.rows = new TunnelRows(this.tables);
    this.measures = this.rows.measures;
    this.lighthouse = this.config.lighthouse.amLighthouse
      ? new LighthouseHosts(this.tables.lighthouse, this.tables.turns)
      : null;
  }

  /** A tunnel to a peer with this certificate. */
  connect(spec: CertificateSpec, endpoint: string, localIndex: number): Tunnel {
    const peer: Certificate = { ...certificate(spec), notAfter: TEST_NOT_AFTER };
    const handshake = {
      isInitiator: true,
      cipher: 0,
      localIndex,
      remoteIndex: localIndex + 1000,
      sendKey: new Uint8Array(32),
      receiveKey: new Uint8Array(32),
      ownCertificate: this.identity.certificates[0],
      peer: { certificate: peer, ca: peer, timeNs: 0n, sendsCertificateVersion: true, index: localIndex + 1000 },
    } as const;
    const slot = this.rows.publish({
      ...handshake,
      certificate: peer,
      endpoint: ep(endpoint),
      isConfirmed: true,
    });
    const generation = this.rows.generation(slot);
    const created = { ...NOW, ms: NOW.ms - 61_000 };
    const tunnel = new Tunnel({ handshake, slot, generation, endpoint: ep(endpoint), answered: null, created });
    this.remotes.learn(tunnel.vpnAddress, tunnel.vpnAddress, ep(endpoint));
    this.#hosts.push({ tunnel, isPrimary: true });
    return tunnel;
  }

  /** Adds a flow as a worker would. */
  addFlow(spec: FlowSpec): void {
    const { conntrack } = openShared(this.memories, spec.worker ?? 0);
    const tuple = tupleOf(spec);
    const now = monotonicSeconds(NOW.ms);
    const version = spec.rulesVersion ?? this.rulesVersion;
    const hash = hashTuple(tuple, conntrack.seed);
    conntrack.insert(tuple, hash, spec.incoming, version, spec.rule, now, now + (spec.secondsLeft ?? 60), 1);
  }

  socketMemory(worker: number): SocketMemory | null {
    const memory = {
      rmemAlloc: 1,
      rcvbuf: 2,
      wmemAlloc: 3,
      sndbuf: 4,
      fwdAlloc: 5,
      wmemQueued: 6,
      optmem: 7,
      backlog: 8,
    };
    return worker === 0 ? { ...memory, drops: 9 } : null;
  }
}

export function configOf(tree: Readonly<Record<string, unknown>>): Config {
  const text = JSON.stringify({ pki: { ca: 'ca', cert: 'cert', key: 'key' }, routines: 2, ...tree });
  const { config, problems } = parseConfig([{ file: 'test.yml', text }], 'test.yml');
  if (config === null) {
    throw new Error(problems.map(formatProblem).join('\n'));
  }
  return config;
}
