/**
 * Which of the machine's own addresses this node tells the lighthouses (Nebula protocol: update contents). The shell
 * reads them from the kernel and reads again when the kernel says that something changed.
 */
import { type IpAddress, type Prefix, parsePrefix, prefixContains } from '../../shared/ip/address.ts';
import type { LocalAllowList } from './allowList.ts';

/** An address of the machine and the interface that has it. */
export interface LocalAddress {
  readonly address: IpAddress;
  readonly interfaceName: string;
}

export interface LocalAddressPolicy {
  readonly allowList: LocalAllowList;
  /** The vpn networks of this node: peers must not send a tunnel through a tunnel. */
  readonly ownNetworks: readonly Prefix[];
}

/** The addresses worth telling, in the order given, each once. */
export function selectLocalAddresses(addresses: readonly LocalAddress[], policy: LocalAddressPolicy): IpAddress[] {
  const selected = new Map<string, IpAddress>();
  for (const { address, interfaceName } of addresses) {
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
