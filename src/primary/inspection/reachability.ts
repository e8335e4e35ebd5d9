/**
 * Whom this node does not reach, and why: what `weft hosts` lists, what `weft why` adds, and what of it makes the node
 * degraded. Pure reads of the core's memory; the sentences of one host are `troubleTexts.ts`'s.
 *
 * A host that does not answer is its own affair. It is this node's when it is a lighthouse, when its name can not be
 * resolved, or when there is no tunnel at all.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import type { EndpointTrouble, HostTrouble } from '../control/tunnels/hostTroubles.ts';
import { troubleTexts } from '../control/tunnels/troubleTexts.ts';
import type { HealthReason } from './health.ts';
import type { NodeView } from './nodeView.ts';

export interface UnreachedSummary {
  readonly vpnAddress: string;
  readonly lighthouse: boolean;
  /** Since the first attempt. */
  readonly seconds: number;
  readonly attempts: number;
  readonly endpoints: readonly string[];
  /** null: none is planned, the next packet for it begins anew. */
  readonly nextAttemptSeconds: number | null;
  readonly reasons: readonly string[];
}

/** Somebody whose handshakes are refused here. */
export interface RefusedSummary {
  readonly endpoint: string;
  readonly reason: string;
  readonly count: number;
  readonly secondsAgo: number;
}

/** A handshake that is this young may still succeed. */
const PATIENCE_MS = 1000;
/** A host that nobody asked for since is no trouble any more. */
const RECENT_MS = 60_000;
const NAMED_MAX = 3;

/** Lighthouses first, then the one tried last first. */
export function unreached(view: NodeView): readonly UnreachedSummary[] {
  const troubles = [...view.control.troubles.all()].reverse();
  const isLighthouse = (trouble: HostTrouble): boolean => lighthouseOf(view, trouble.address);
  const ordered = [...troubles.filter(isLighthouse), ...troubles.filter((trouble) => !isLighthouse(trouble))];
  return ordered.map((trouble) => summaryOf(view, trouble));
}

export function refusedCallers(view: NodeView): readonly RefusedSummary[] {
  const nowMs = view.clock().ms;
  return [...view.control.troubles.callers()].reverse().map((caller) => refusedSummary(caller, nowMs));
}

/** Why there is no tunnel to this address so far; null when there is nothing to tell. */
export function unreachedReason(view: NodeView, address: string): string | null {
  const trouble = view.control.troubles.of(address);
  return trouble === null ? null : reasonText(summaryOf(view, trouble), true);
}

export function reachReasons(view: NodeView): readonly HealthReason[] {
  const { control, config } = view;
  const nowMs = view.clock().ms;
  const told = control.troubles.all().filter((trouble) => nowMs - trouble.sinceMs >= PATIENCE_MS);
  const lighthouses = told.filter(({ address }) => lighthouseOf(view, address));
  const reasons = lighthouses.map((trouble): HealthReason => {
    return { kind: 'lighthouse', text: hostText(summaryOf(view, trouble)) };
  });
  for (const { vpnAddress } of config.staticHostMap) {
    const isToldOf = lighthouses.some(({ address }) => address.text === vpnAddress.text);
    if (control.primary(vpnAddress) === null && !isToldOf) {
      for (const { host, error } of view.remotes.unresolved(vpnAddress)) {
        reasons.push({ kind: 'name', text: `static_host_map: the name "${host}" cannot be resolved: ${error}` });
      }
    }
  }
  if (control.hosts().length === 0) {
    const others = told.filter((trouble) => {
      return !lighthouseOf(view, trouble.address) && nowMs - trouble.lastAttemptMs < RECENT_MS;
    });
    reasons.push(...aloneReasons(view, others, nowMs));
  }
  return reasons;
}

/** There is no tunnel: the hosts that are asked for in vain, and those that ask in vain. */
function aloneReasons(view: NodeView, others: readonly HostTrouble[], nowMs: number): readonly HealthReason[] {
  const named = [...others].reverse().slice(0, NAMED_MAX);
  const reasons = named.map((trouble): HealthReason => ({ kind: 'host', text: hostText(summaryOf(view, trouble)) }));
  if (others.length > named.length) {
    reasons.push({ kind: 'host', text: `${others.length - named.length} more hosts are not reached: weft hosts` });
  }
  const callers = view.control.troubles.callers().filter(({ atMs }) => nowMs - atMs < RECENT_MS);
  for (const { endpoint, reason } of callers.slice(-NAMED_MAX)) {
    reasons.push({ kind: 'host', text: `handshakes from ${endpoint.text} are refused: ${reason}` });
  }
  return reasons;
}

function summaryOf(view: NodeView, trouble: HostTrouble): UnreachedSummary {
  const { control, remotes, config } = view;
  const nowMs = view.clock().ms;
  const facts = {
    troubles: control.troubles,
    remotes,
    amLighthouse: config.lighthouse.amLighthouse,
    lighthouses: config.lighthouse.hosts,
    hasTunnel: (address: IpAddress) => control.primary(address) !== null,
  };
  const pending = control.pending().find(({ address }) => address.text === trouble.address.text);
  const nextMs = pending?.nextAttemptMs ?? null;
  return {
    vpnAddress: trouble.address.text,
    lighthouse: lighthouseOf(view, trouble.address),
    seconds: Math.floor((nowMs - trouble.sinceMs) / 1000),
    attempts: trouble.attempts,
    endpoints: trouble.endpoints.map(({ text }) => text),
    nextAttemptSeconds: nextMs === null ? null : Math.max(0, Math.ceil((nextMs - nowMs) / 1000)),
    reasons: [...ownFaults(view), ...troubleTexts(trouble, facts, nowMs)],
  };
}

/** What keeps every peer from answering. */
function ownFaults(view: NodeView): readonly string[] {
  const unixSeconds = view.clock().unixMs / 1000;
  const { certificates } = view.identity;
  if (certificates.every(({ notAfter }) => notAfter < unixSeconds)) {
    return ["this host's own certificate has expired, so others refuse it"];
  }
  return certificates.every(({ notBefore }) => notBefore > unixSeconds)
    ? ["this host's own certificate is not valid yet by this machine's clock"]
    : [];
}

function hostText(summary: UnreachedSummary): string {
  const kind = summary.lighthouse ? 'the lighthouse' : 'the host';
  return `${kind} ${summary.vpnAddress} is not reached: ${reasonText(summary, false)}`;
}

function reasonText({ reasons, lighthouse, nextAttemptSeconds }: UnreachedSummary, isAsked: boolean): string {
  const again = lighthouse ? 'with the next update' : isAsked ? 'with this packet' : 'with the next packet for it';
  const next = nextAttemptSeconds === null ? again : `in ${nextAttemptSeconds} s`;
  return `${reasons.join('; ')}; next attempt ${next}`;
}

function lighthouseOf(view: NodeView, address: IpAddress): boolean {
  return view.config.lighthouse.hosts.some(({ text }) => text === address.text);
}

function refusedSummary({ endpoint, reason, count, atMs }: EndpointTrouble, nowMs: number): RefusedSummary {
  return { endpoint: endpoint.text, reason, count, secondsAgo: Math.floor((nowMs - atMs) / 1000) };
}
