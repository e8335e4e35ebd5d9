/**
 * Who is where, as this node knows it: a lighthouse's table, or what any other node has learned of its peers. Pure reads.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import { InspectionError, type NodeView } from './nodeView.ts';

export interface LighthouseEntry {
  readonly vpnAddresses: readonly string[];
  /** Where its packets come from. */
  readonly learned: readonly string[];
  /** Where it says it is, or others say it is. */
  readonly reported: readonly string[];
  readonly relays: readonly string[];
}

export interface LighthouseList {
  /** True: the table from which this node answers queries. False: what it knows for itself. */
  readonly lighthouse: boolean;
  readonly count: number;
  readonly hosts: readonly LighthouseEntry[];
}

/** Known hosts, up to `limit` of them. */
export function lighthouseList(view: NodeView, limit: number): LighthouseList {
  const { lighthouse, remotes } = view;
  if (lighthouse !== null) {
    return { lighthouse: true, count: lighthouse.count, hosts: lighthouse.list(limit).map(entryOf) };
  }
  const peers = remotes.peers();
  const hosts = peers.slice(0, limit).flatMap((addresses) => knownEntry(view, addresses[0]) ?? []);
  return { lighthouse: false, count: peers.length, hosts };
}

/** What is known of one host; throws a 404 when nothing is. */
export function lighthouseQuery(view: NodeView, address: IpAddress): LighthouseEntry {
  const { lighthouse } = view;
  const found = lighthouse === null ? null : lighthouse.find(address);
  const entry = found === null ? knownEntry(view, address) : entryOf(found);
  if (entry === null) {
    throw new InspectionError(404, `nothing is known of ${address.text}`);
  }
  return entry;
}

interface Texts {
  readonly text: string;
}

function entryOf(host: {
  readonly vpnAddresses: readonly Texts[];
  readonly learned: readonly Texts[];
  readonly reported: readonly Texts[];
  readonly relays: readonly Texts[];
}): LighthouseEntry {
  const { vpnAddresses, learned, reported, relays } = host;
  return {
    vpnAddresses: vpnAddresses.map(({ text }) => text),
    learned: unique(learned),
    reported: unique(reported),
    relays: unique(relays),
  };
}

function knownEntry(view: NodeView, address: IpAddress): LighthouseEntry | null {
  const { remotes } = view;
  const vpnAddresses = remotes.addressesOf(address);
  if (vpnAddresses.length === 0) {
    return null;
  }
  const entries = remotes.entries(address);
  return entryOf({
    vpnAddresses,
    learned: entries.flatMap(({ learned }) => learned),
    reported: entries.flatMap(({ reported }) => reported),
    relays: entries.flatMap(({ relays }) => relays),
  });
}

function unique(values: readonly Texts[]): string[] {
  return [...new Set(values.map(({ text }) => text))];
}
