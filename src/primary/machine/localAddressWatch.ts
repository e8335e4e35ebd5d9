/**
 * The machine's own addresses, read from the kernel at start and again whenever it says that a link or an address has
 * changed. Which of them are worth telling is decided in `control/localAddresses.ts`.
 */

import type { Boundary } from '../boundary.ts';
import type { LocalAddress } from '../control/localAddresses.ts';
import { Netlink } from './netlink.ts';
import { NetlinkMonitor } from './netlinkMonitor.ts';

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
    const names = new Map(this.#netlink.links().map((link) => [link.index, link.name]));
    return this.#netlink
      .addresses()
      .map(({ linkIndex, prefix }) => ({ address: prefix.address, interfaceName: names.get(linkIndex) ?? '' }));
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#monitor.close();
      this.#netlink.close();
    }
  }
}
