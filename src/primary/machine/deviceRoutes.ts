/**
 * Which routes the tun device should have, and what to do about those that stand already. Pure: reads no kernel.
 *
 * A route of somebody else is never replaced. Ours goes beside it, with another metric:
 *   - behind it (a larger metric) when the machine itself is on that network and the configuration names no metric: its
 *     own LAN stays reachable;
 *   - else with the metric that is wanted, or with the next free one when another route has that.
 * So nothing has to be put back at the end: our routes go with the device, and no others were touched.
 */
import { maskedPrefix, type Prefix } from '../../shared/ip/address.ts';
import type { Config } from '../config/config.ts';
import type { KernelRoute } from './netlinkRoutes.ts';

/** TCP and IP headers: what a segment size leaves room for. */
const HEADER_BYTES = 40;

/** What the kernel gives a route without a metric; and the connected route of an IPv6 address, whose place ours takes. */
const DEFAULT_METRIC_IPV6 = 1024;
const CONNECTED_METRIC_IPV6 = 256;

/** The device takes the largest packet that any of its routes allows. */
export function linkMtu({ tun }: Config): number {
  return Math.max(tun.mtu, ...tun.routes.map(({ mtu }) => mtu), ...tun.unsafeRoutes.map(({ mtu }) => mtu));
}

/**
 * The connected routes with the MTU of the overlay, the routes with an MTU of their own, and the unsafe routes. A metric
 * of 0 is one that nobody asked for.
 */
export function wantedRoutes(config: Config, networks: readonly Prefix[], linkIndex: number): KernelRoute[] {
  const { tun } = config;
  const limits = (mtu: number): Pick<KernelRoute, 'mtu' | 'advmss'> =>
    mtu === linkMtu(config) ? {} : { mtu, advmss: mtu - HEADER_BYTES };
  const routes = tun.routes.map(({ route, mtu }) => ({ destination: maskedPrefix(route), mtu }));
  const connected = networks.map((network) => {
    const destination = maskedPrefix(network);
    const mtu = routes.find((route) => route.destination.text === destination.text)?.mtu ?? tun.mtu;
    return { destination, linkIndex, source: network.address, isConnected: true, metric: 0, ...limits(mtu) };
  });
  return [
    ...connected,
    ...routes
      .filter(({ destination }) => !connected.some((own) => own.destination.text === destination.text))
      .map(({ destination, mtu }) => ({ destination, linkIndex, metric: 0, ...limits(mtu) })),
    ...tun.unsafeRoutes
      .filter(({ install }) => install)
      .map(({ route, mtu, metric }) => ({
        destination: maskedPrefix(route),
        linkIndex,
        metric,
        ...limits(mtu === 0 ? tun.mtu : mtu),
      })),
  ];
}

/** A route as it is to stand, and those of others to the same destination. */
export interface PlacedRoute {
  readonly route: KernelRoute;
  readonly others: readonly KernelRoute[];
}

export interface RoutePlan {
  /** All that are wanted, by `routeKey`. */
  readonly placed: ReadonlyMap<string, PlacedRoute>;
  /** Ours that are wanted no more. */
  readonly remove: readonly KernelRoute[];
  /** Not there yet. */
  readonly add: readonly PlacedRoute[];
  /** There, but with other properties. */
  readonly replace: readonly PlacedRoute[];
}

/** `standing`: all routes of the main table. `installed`: what we put there before, by `routeKey`. */
export function planRoutes(
  wanted: readonly KernelRoute[],
  standing: readonly KernelRoute[],
  installed: ReadonlyMap<string, PlacedRoute>,
): RoutePlan {
  const placed = new Map<string, PlacedRoute>();
  for (const route of wanted) {
    const others = standing.filter(
      (other) => other.linkIndex !== route.linkIndex && other.destination.text === route.destination.text,
    );
    const metric = metricBeside(route, others);
    placed.set(routeKey({ ...route, metric }), { route: { ...route, metric }, others });
  }
  const add: PlacedRoute[] = [];
  const replace: PlacedRoute[] = [];
  for (const [key, each] of placed) {
    const there = standing.find((other) => other.linkIndex === each.route.linkIndex && routeKey(other) === key);
    if (there === undefined) {
      add.push(each);
    } else if (!isSame(there, each.route)) {
      replace.push(each);
    }
  }
  const remove = [...installed].filter(([key]) => !placed.has(key)).map(([, { route }]) => route);
  return { placed, remove, add, replace };
}

/** Names a route of one link: a link has one of a destination and a metric. */
export function routeKey(route: KernelRoute): string {
  return `${route.destination.text} ${effectiveMetric(route)}`;
}

/** Whether another route to the same destination is preferred to this one. */
export function isBehind({ route, others }: PlacedRoute): boolean {
  return others.some((other) => effectiveMetric(other) < effectiveMetric(route));
}

function metricBeside(route: KernelRoute, others: readonly KernelRoute[]): number {
  const taken = others.map(effectiveMetric);
  const isOwnNetwork = others.some((other) => other.gateway === undefined);
  if (isOwnNetwork && (route.metric ?? 0) === 0) {
    return Math.max(...taken) + 1;
  }
  let metric = effectiveMetric(route);
  while (taken.includes(metric)) {
    metric++;
  }
  return metric;
}

function effectiveMetric({ destination, metric = 0, isConnected }: KernelRoute): number {
  if (metric > 0 || destination.address.family === 4) {
    return metric;
  }
  return isConnected === true ? CONNECTED_METRIC_IPV6 : DEFAULT_METRIC_IPV6;
}

function isSame(a: KernelRoute, b: KernelRoute): boolean {
  return (
    (a.mtu ?? 0) === (b.mtu ?? 0) &&
    (a.advmss ?? 0) === (b.advmss ?? 0) &&
    // The kernel keeps no source for IPv6 unless one was asked for.
    (b.source === undefined || a.source?.text === b.source.text)
  );
}
