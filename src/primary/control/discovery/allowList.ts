/**
 * Allow lists: which underlay addresses this node believes (`lighthouse.remote_allow_list`,
 * `lighthouse.remote_allow_ranges`) and which of its own it tells others (`lighthouse.local_allow_list`).
 *
 * The most specific network wins (Nebula protocol: allow lists). Lists are compiled once per configuration and never
 * change; a reload compiles new ones. Nothing here runs per packet: the data path punts a peer that roamed, and the
 * control plane asks here.
 */

import type { IpAddress } from '../../../shared/ip/address.ts';
import type { AllowRules, RemoteAllowRules } from '../../../shared/ip/allowRules.ts';
import type { LocalAllowRules } from '../../config/config.ts';
import { PrefixTable } from './prefixTable.ts';

class AllowList {
  readonly #verdicts: PrefixTable<boolean> = new PrefixTable();

  constructor(rules: AllowRules) {
    for (const { network, isAllowed } of rules) {
      this.#verdicts.set(network, isAllowed);
    }
  }

  allows(address: IpAddress): boolean {
    return this.#verdicts.lookup(address) ?? true;
  }
}

/** What this node accepts as a peer's endpoint: the global list, and the list of the range the peer's address is in. */
export class RemoteAllowList {
  /** Without rules. */
  static readonly all: RemoteAllowList = new RemoteAllowList({ remoteAllowList: [], remoteAllowRanges: [] });
  readonly #global: AllowList;
  readonly #ranges: PrefixTable<AllowList> = new PrefixTable();

  constructor({ remoteAllowList, remoteAllowRanges }: RemoteAllowRules) {
    this.#global = new AllowList(remoteAllowList);
    for (const { network, rules } of remoteAllowRanges) {
      this.#ranges.set(network, new AllowList(rules));
    }
  }

  /** Before the peer is known (the first handshake message): the global list alone. */
  allowsUnknown(underlay: IpAddress): boolean {
    return this.#global.allows(underlay);
  }

  /** Whether `underlay` may be an endpoint of the peer with this vpn address. */
  allows(vpnAddress: IpAddress, underlay: IpAddress): boolean {
    return this.#global.allows(underlay) && (this.#ranges.lookup(vpnAddress)?.allows(underlay) ?? true);
  }

  /** Whether `underlay` may be an endpoint of a peer that has all of these vpn addresses. */
  allowsAll(vpnAddresses: readonly IpAddress[], underlay: IpAddress): boolean {
    return (
      this.#global.allows(underlay) &&
      vpnAddresses.every((address) => this.#ranges.lookup(address)?.allows(underlay) ?? true)
    );
  }
}

/** What this node tells about itself: by address and by the interface that has the address. */
export class LocalAllowList {
  /** Without rules. */
  static readonly all: LocalAllowList = new LocalAllowList({ addresses: [], interfaces: [] });
  readonly #addresses: AllowList;
  readonly #names: readonly RegExp[];
  /** What an interface gets that no pattern matches; those that match get the inverse. */
  readonly #unmatched: boolean;

  constructor({ addresses, interfaces }: LocalAllowRules) {
    this.#addresses = new AllowList(addresses);
    this.#names = interfaces.map(({ pattern }) => pattern);
    this.#unmatched = interfaces.length === 0 || !interfaces[0].isAllowed;
  }

  allows(address: IpAddress): boolean {
    return this.#addresses.allows(address);
  }

  allowsInterface(name: string): boolean {
    return this.#names.some((pattern) => pattern.test(name)) !== this.#unmatched;
  }
}
