/**
 * Where a packet would go or come from, in words: the cold counterpart of the workers' router, over the configuration.
 *
 * Among several gateways of one unsafe route a worker chooses by a hash of the ports and whoever has a tunnel; here
 * the first with a tunnel stands for them, and the answer says so.
 */
import {
  addressFromBytes,
  compareAddresses,
  type IpAddress,
  type Prefix,
  prefixContains,
} from '../../shared/ip/address.ts';
import type { Tunnel } from '../control/tunnels/tunnel.ts';
import type { NodeView } from './nodeView.ts';

export interface RouteAnswer {
  /** In one sentence. */
  readonly text: string;
  /** The hosts that may carry the packet, in the order of the configuration; empty when it goes nowhere. */
  readonly hosts: readonly string[];
  readonly tunnel: Tunnel | null;
  /** False: the packet is dropped before a tunnel or the firewall is asked. */
  readonly isCarried: boolean;
}

/** Whether the address is one of this node's own or in one of its certificate's unsafe networks. */
export function isLocalAddress(view: NodeView, address: IpAddress): boolean {
  return view.identity.certificates.some(
    ({ networks, unsafeNetworks }) =>
      networks.some((network) => compareAddresses(network.address, address) === 0) ||
      unsafeNetworks.some((network) => prefixContains(network, address)),
  );
}

/** The way of an outgoing packet, in the order of the data path. */
export function routeOf(view: NodeView, destination: IpAddress): RouteAnswer {
  const { tun } = view.config;
  const networks = view.identity.certificates.flatMap((certificate) => certificate.networks);
  if (tun.dropLocalBroadcast && networks.some((network) => broadcastOf(network)?.text === destination.text)) {
    return dropped(`${destination.text} is the broadcast address of a network, tun.drop_local_broadcast drops it`);
  }
  if (networks.some((network) => compareAddresses(network.address, destination) === 0)) {
    return dropped(`${destination.text} is this node's own address, the kernel delivers such packets itself`);
  }
  if (tun.dropMulticast && isMulticast(destination)) {
    return dropped(`${destination.text} is a multicast address, tun.drop_multicast drops it`);
  }
  const network = networks.find((candidate) => prefixContains(candidate, destination));
  if (network !== undefined) {
    const tunnel = view.control.primary(destination);
    return { text: `in our network ${network.text}`, hosts: [destination.text], tunnel, isCarried: true };
  }
  const route = [...tun.unsafeRoutes]
    .sort((a, b) => b.route.bits - a.route.bits)
    .find((candidate) => prefixContains(candidate.route, destination));
  if (route === undefined) {
    return dropped(`${destination.text} is neither in our networks nor in tun.unsafe_routes`);
  }
  const gateways = route.via.map(({ gateway }) => gateway);
  const choice = gateways.length > 1 ? '; the ports choose one of the gateways, the first with a tunnel is shown' : '';
  return {
    text: `unsafe route ${route.route.text} via ${gateways.map(({ text }) => text).join(', ')}${choice}`,
    hosts: gateways.map(({ text }) => text),
    tunnel: gateways.map((gateway) => view.control.primary(gateway)).find((tunnel) => tunnel !== null) ?? null,
    isCarried: true,
  };
}

function dropped(text: string): RouteAnswer {
  return { text, hosts: [], tunnel: null, isCarried: false };
}

/** None for IPv6 and for networks without one. */
function broadcastOf(network: Prefix): IpAddress | null {
  if (network.address.family === 6 || network.bits > 30) {
    return null;
  }
  const bytes = Uint8Array.from(network.address.bytes, (byte, index) => {
    const hostBits = Math.min(8, Math.max(0, (index + 1) * 8 - network.bits));
    return byte | (2 ** hostBits - 1);
  });
  return addressFromBytes(bytes);
}

function isMulticast(address: IpAddress): boolean {
  return address.family === 4 ? address.bytes[0] >> 4 === 0xe : address.bytes[0] === 0xff;
}
