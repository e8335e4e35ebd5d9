/**
 * The machine's own addresses, read from the kernel at start and again whenever it says that a link or an address has
 * changed. Which of them are worth telling is decided in `control/discovery/localAddresses.ts`.
 */

import { type IpAddress, parseAddress } from '../../shared/ip/address.ts';
import type { Boundary } from '../boundary.ts';
import type { LocalAddress } from '../control/discovery/localAddresses.ts';
import { Netlink } from './netlink.ts';
import { NetlinkMonitor } from './netlinkMonitor.ts';

/** Addresses that no machine has (RFC 5737, RFC 3849): the way to them is the default route. */
const ELSEWHERE: readonly IpAddress[] = ['192.0.2.1', '2001:db8::1'].flatMap((text) => parseAddress(text) ?? []);

export class LocalAddressWatch {
  readonly #netlink = new Netlink();
  readonly #monitor: NetlinkMonitor;
  #isClosed = false;

  /** Starts watching. `onChange` gets all addresses, not only new ones. Throws SysError. */
  constructor(boundary: Boundary, onChange: (addresses: readonly LocalAddress[]) => void) {
    this.#monitor = new NetlinkMonitor(
      ({ addresses, links }) => {
        if (addresses || links) {
          boundary.guard('netlink', () => onChange(this.read()));
        }
      },
      (error) => boundary.report('netlink', error),
    );
  }

  /** Throws SysError. */
  read(): readonly LocalAddress[] {
    const links = new Map(this.#netlink.links().map((link) => [link.index, link]));
    const defaults = ELSEWHERE.map((address) => this.#netlink.linkTowards(address));
    return this.#netlink.addresses().map(({ linkIndex, prefix }) => ({
      address: prefix.address,
      interfaceName: links.get(linkIndex)?.name ?? '',
      interfaceKind: links.get(linkIndex)?.kind ?? '',
      isDefault: defaults.includes(linkIndex),
    }));
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#monitor.close();
      this.#netlink.close();
    }
  }
}
