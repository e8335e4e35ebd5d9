/**
 * Every number a node keeps, by name: counters of the data path and the control plane with the share of each process,
 * gauges, and the fill of each UDP socket. Names are Nebula's where it has the same metric. Pure reads.
 */

import { FIREWALL_COUNTER_NAMES } from '../../shared/memory/firewallCounters.ts';
import { countOf, METRIC_NAMES } from '../../shared/memory/metrics.ts';
import { unixSecondsOf } from '../control/now.ts';
import { certificateTtlSeconds } from '../pki/expiry.ts';
import type { FirewallInspection } from './firewall.ts';
import type { NodeView } from './nodeView.ts';

/** A count since the node's start; a worker's share survives that worker. */
export interface CounterValue {
  readonly name: string;
  readonly total: number;
  readonly primary: number;
  readonly workers: readonly number[];
}

export interface GaugeValue {
  readonly name: string;
  readonly value: number;
}

export interface MetricList {
  readonly counters: readonly CounterValue[];
  readonly gauges: readonly GaugeValue[];
}

export function metricList(view: NodeView, firewall: FirewallInspection): MetricList {
  return {
    counters: [...sharedCounters(view), ...firewallCounters(view), ...controlCounters(view)],
    gauges: [...nodeGauges(view, firewall), ...socketGauges(view)],
  };
}

function sharedCounters(view: NodeView): CounterValue[] {
  return METRIC_NAMES.map((name) => {
    const [primary, ...workers] = view.tables.metrics.counts(name);
    return { name, total: primary + sum(workers), primary, workers };
  });
}

/** The first cell is no count but the rules version that the rule cells belong to: it is not shown. */
function firewallCounters(view: NodeView): CounterValue[] {
  return FIREWALL_COUNTER_NAMES.flatMap((name, cell) => {
    const workers = view.tables.firewallCounters.map((column) => countOf(column[cell]));
    return cell === 0 ? [] : [{ name, total: sum(workers), primary: 0, workers }];
  });
}

function controlCounters(view: NodeView): CounterValue[] {
  const workers = view.pids.map(() => 0);
  return [...view.counts]
    .map(([name, count]) => ({ name, total: count, primary: count, workers }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function nodeGauges(view: NodeView, firewall: FirewallInspection): GaugeValue[] {
  const { tables, identity, control } = view;
  const now = view.clock();
  const { table } = firewall.state();
  const hosts = control.hosts();
  const pending = control.pending();
  const newest = identity.certificates[identity.certificates.length - 1];
  const values: readonly (readonly [name: string, value: number])[] = [
    ['certificate.ttl_seconds', certificateTtlSeconds(identity, unixSecondsOf(now))],
    ['certificate.initiating_version', identity.initiatingVersion],
    ['certificate.max_version', newest.version],
    ['firewall.conntrack.count', tables.conntrack.size()],
    ['firewall.conntrack.capacity', tables.capacities.flows],
    ['firewall.conntrack.busy', tables.conntrack.busyCount],
    ['firewall.rules.version', table.version],
    ['firewall.rules.hash', table.hashNumber],
    ['hostmap.main.hosts', new Set(hosts.flatMap(({ tunnel }) => tunnel.vpnAddresses.map(({ text }) => text))).size],
    ['hostmap.main.indexes', hosts.length],
    ['hostmap.main.remoteIndexes', new Set(hosts.map(({ tunnel }) => tunnel.remoteIndex)).size],
    ['hostmap.main.capacity', tables.capacities.tunnels],
    ['hostmap.pending.hosts', pending.length],
    ['hostmap.pending.indexes', pending.filter(({ localIndex }) => localIndex !== 0).length],
    ['routines', view.config.routines],
  ];
  const gauges = values.map(([name, value]) => ({ name, value }));
  if (view.lighthouse !== null) {
    gauges.push({ name: 'lighthouse.hosts', value: view.lighthouse.count });
    gauges.push({ name: 'lighthouse.hosts.capacity', value: tables.capacities.lighthouseHosts });
    gauges.push({ name: 'lighthouse.hosts.refused', value: view.lighthouse.refusedCount });
  }
  return gauges;
}

/** `udp.N.…` in bytes, but `drops` in datagrams; nothing for a socket of which the kernel does not tell. */
function socketGauges(view: NodeView): GaugeValue[] {
  return view.pids.flatMap((_, worker) => {
    const memory = view.socketMemory(worker);
    if (memory === null) {
      return [];
    }
    const { rmemAlloc, rcvbuf, wmemAlloc, sndbuf, fwdAlloc, wmemQueued, optmem, backlog, drops } = memory;
    const values: readonly (readonly [name: string, value: number])[] = [
      ['rmem_alloc', rmemAlloc],
      ['rcvbuf', rcvbuf],
      ['wmem_alloc', wmemAlloc],
      ['sndbuf', sndbuf],
      ['fwd_alloc', fwdAlloc],
      ['wmem_queued', wmemQueued],
      ['optmem', optmem],
      ['backlog', backlog],
      ['drops', drops],
    ];
    return values.map(([name, value]) => ({ name: `udp.${worker}.${name}`, value }));
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
