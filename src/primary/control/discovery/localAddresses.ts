/**
 * Which of the machine's own addresses this node tells the lighthouses (Nebula protocol: update contents). The shell
 * reads them from the kernel and reads again when the kernel says that something changed.
 */
import { type IpAddress, type Prefix, parsePrefix, prefixContains } from '../../../shared/ip/address.ts';
import type { LocalAllowList } from './allowList.ts';

/** An address of the machine and the interface that has it. */
export interface LocalAddress {
  readonly address: IpAddress;
  readonly interfaceName: string;
  /** What made the interface, in the kernel's word (`bridge`, `veth`, `tun` …); '' for a network card. */
  readonly interfaceKind: string;
  /** The machine reaches the rest of the world over this interface. */
  readonly isDefault: boolean;
}

export interface LocalAddressPolicy {
  readonly allowList: LocalAllowList;
  /** The vpn networks of this node: peers must not send a tunnel through a tunnel. */
  readonly ownNetworks: readonly Prefix[];
}

/**
 * The addresses worth telling, each once, the most telling first: a lighthouse keeps ten of a family. The default route's
 * interface comes before network cards, those before anything virtual, and what containers are plugged into comes last.
 */
export function selectLocalAddresses(addresses: readonly LocalAddress[], policy: LocalAddressPolicy): IpAddress[] {
  const selected = new Map<string, IpAddress>();
  for (const { address, interfaceName } of [...addresses].sort((a, b) => rankOf(a) - rankOf(b))) {
    if (
      isReachable(address) &&
      policy.allowList.allowsInterface(interfaceName) &&
      policy.allowList.allows(address) &&
      !policy.ownNetworks.some((network) => prefixContains(network, address))
    ) {
      selected.set(address.text, address);
    }
  }
  return [...selected.values()];
}

function rankOf({ isDefault, interfaceKind }: LocalAddress): number {
  if (isDefault) {
    return 0;
  }
  return CARDS.includes(interfaceKind) ? 1 : CONTAINER_KINDS.includes(interfaceKind) ? 3 : 2;
}

/** Network cards, and what joins or divides them. */
const CARDS: readonly string[] = ['', 'bond', 'team', 'vlan'];
/** On most machines made by docker, libvirt and their like. */
const CONTAINER_KINDS: readonly string[] = ['bridge', 'dummy', 'veth', 'vxlan'];

/** Neither loopback nor link-local: those mean another machine to whoever reads them. */
function isReachable(address: IpAddress): boolean {
  return !NOWHERE.some((prefix) => prefixContains(prefix, address));
}

/** RFC 6890: this host, loopback, link-local, multicast. */
const NOWHERE: readonly Prefix[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
].flatMap((text) => parsePrefix(text) ?? []);
