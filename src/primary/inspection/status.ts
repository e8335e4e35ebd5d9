/**
 * How a node is: its identity, its workers, its tunnels. Pure reads; times leave as seconds, ages count from now.
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { timeText } from '../../shared/cert/rules.ts';
import type { Tunnel } from '../control/tunnels/tunnel.ts';
import type { CarriedTraffic } from '../measures/tunnelTraffic.ts';
import { ExpiryWatch, isOutsideAll } from '../pki/expiry.ts';
import type { Identity } from '../pki/identity.ts';
import { networkTexts } from '../settings.ts';
import type { HealthReason } from './health.ts';
import type { NodeView } from './nodeView.ts';
import { type RefusedSummary, reachReasons, refusedCallers, type UnreachedSummary, unreached } from './reachability.ts';

export interface CertificateSummary {
  readonly name: string;
  readonly version: 1 | 2;
  readonly networks: readonly string[];
  readonly unsafeNetworks: readonly string[];
  readonly groups: readonly string[];
  /** Lower-case hex SHA-256. */
  readonly fingerprint: string;
  readonly issuer: string;
  /** RFC 3339. */
  readonly notAfter: string;
  /** Whole seconds until it expires; negative when it has. */
  readonly secondsLeft: number;
}

export interface WorkerStatus {
  readonly worker: number;
  /** 0 while it is being started again. */
  readonly pid: number;
  readonly restarts: number;
}

export interface NodeStatus {
  readonly state: 'ok' | 'degraded';
  /** Why it is degraded. */
  readonly health: readonly HealthReason[];
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly interface: string | null;
  readonly networks: readonly string[];
  readonly port: number;
  readonly routines: number;
  readonly cipher: string;
  readonly lighthouse: boolean;
  readonly workers: readonly WorkerStatus[];
  readonly rulesVersion: number;
  readonly certificates: readonly CertificateSummary[];
  readonly tunnels: number;
  readonly pendingHandshakes: number;
}

export interface HostSummary {
  readonly vpnAddresses: readonly string[];
  /** null while the peer is reachable only through a relay. */
  readonly endpoint: string | null;
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** The way for this node's packets; a peer may have other tunnels beside it. */
  readonly primary: boolean;
  readonly initiator: boolean;
  readonly ageSeconds: number;
  /** The last counter this node has used, handshake included: about the packets it has sent. */
  readonly sentCounter: number;
  /** Datagrams of the tunnel, and their bytes. */
  readonly traffic: CarriedTraffic;
  /** How long the peer took to answer the last test of the tunnel, in ms; null before the first answer. */
  readonly lastCheckMs: number | null;
  readonly certificate: CertificateSummary;
  /** Candidate endpoints, best first. */
  readonly remotes: readonly string[];
}

export interface PendingSummary {
  readonly vpnAddress: string;
  /** 0 before the first attempt. */
  readonly localIndex: number;
  readonly attempts: number;
  readonly endpoints: readonly string[];
}

export interface HostList {
  readonly hosts: readonly HostSummary[];
  readonly pending: readonly PendingSummary[];
  /** Whom this node does not reach, and why. */
  readonly unreached: readonly UnreachedSummary[];
  /** Whose handshakes were refused last. */
  readonly refused: readonly RefusedSummary[];
}

export function nodeStatus(view: NodeView): NodeStatus {
  const { config, identity } = view;
  const now = view.clock();
  const health = [
    ...view.health,
    ...clockReasons(identity, now.unixMs),
    ...certificateReasons(identity, now.unixMs),
    ...reachReasons(view),
  ];
  return {
    state: health.length === 0 ? 'ok' : 'degraded',
    health,
    version: view.version,
    pid: process.pid,
    uptimeSeconds: Math.floor((now.ms - view.startedMs) / 1000),
    interface: view.interfaceName,
    networks: networkTexts(identity),
    port: view.port,
    routines: config.routines,
    cipher: config.cipher,
    lighthouse: config.lighthouse.amLighthouse,
    workers: view.pids.map((pid, worker) => ({ worker, pid, restarts: view.deaths[worker] })),
    rulesVersion: view.rulesVersion,
    certificates: identity.certificates.map((certificate) => certificateSummary(certificate, now.unixMs)),
    tunnels: view.control.hosts().length,
    pendingHandshakes: view.control.pending().length,
  };
}

/** Every tunnel, ordered by address and the primary one first, and every handshake that waits for its answer. */
export function hostList(view: NodeView): HostList {
  const hosts = view.control.hosts().map(({ tunnel, isPrimary }) => hostSummary(view, tunnel, isPrimary));
  hosts.sort((a, b) => compareTexts(a.vpnAddresses[0], b.vpnAddresses[0]) || Number(b.primary) - Number(a.primary));
  const pending = view.control.pending().map((handshake) => ({
    vpnAddress: handshake.address.text,
    localIndex: handshake.localIndex,
    attempts: handshake.attemptCount,
    endpoints: handshake.endpoints.map(({ text }) => text),
  }));
  return { hosts, pending, unreached: unreached(view), refused: refusedCallers(view) };
}

export function hostSummary(view: NodeView, tunnel: Tunnel, isPrimary: boolean): HostSummary {
  const now = view.clock();
  return {
    vpnAddresses: tunnel.vpnAddresses.map(({ text }) => text),
    endpoint: tunnel.endpoint?.text ?? null,
    localIndex: tunnel.localIndex,
    remoteIndex: tunnel.remoteIndex,
    primary: isPrimary,
    initiator: tunnel.isInitiator,
    ageSeconds: Math.floor((now.ms - tunnel.createdMs) / 1000),
    sentCounter: view.tables.tunnels.lastSentCounter(tunnel.slot),
    traffic: view.measures.tunnels.ofTunnel(tunnel.slot),
    lastCheckMs: view.measures.tunnels.lastCheckMs(tunnel.slot),
    certificate: certificateSummary(tunnel.peer.certificate, now.unixMs),
    remotes: view.remotes.list(tunnel.vpnAddress).map(({ text }) => text),
  };
}

/** A clock that no certificate fits is more likely wrong than all of them. */
function clockReasons(identity: Identity, unixMs: number): readonly HealthReason[] {
  const unixSeconds = Math.floor(unixMs / 1000);
  return isOutsideAll(identity, unixSeconds)
    ? [{ kind: 'clock', text: `no certificate is valid at ${timeText(unixSeconds)}: is this machine's clock right?` }]
    : [];
}

/** Own certificates and CAs that end within days or have ended. */
function certificateReasons(identity: Identity, unixMs: number): readonly HealthReason[] {
  return new ExpiryWatch()
    .notices(identity, Math.floor(unixMs / 1000))
    .filter(({ certificate: { notBefore, notAfter } }) => {
      return notAfter - unixMs / 1000 < ALARM_SECONDS || notBefore > unixMs / 1000;
    })
    .map(({ message, certificate }) => ({
      kind: 'certificate',
      text: `${message}: "${certificate.name}", ${timeText(certificate.notAfter)}`,
    }));
}

const ALARM_SECONDS = 7 * 86_400;

function certificateSummary(certificate: Certificate, unixMs: number): CertificateSummary {
  return {
    name: certificate.name,
    version: certificate.version,
    networks: certificate.networks.map(({ text }) => text),
    unsafeNetworks: certificate.unsafeNetworks.map(({ text }) => text),
    groups: certificate.groups,
    fingerprint: certificate.fingerprint,
    issuer: certificate.issuer,
    notAfter: new Date(certificate.notAfter * 1000).toISOString(),
    secondsLeft: Math.floor(certificate.notAfter - unixMs / 1000),
  };
}

/** Numbers inside texts count as numbers: 10.0.0.9 stands before 10.0.0.10. */
function compareTexts(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
