/**
 * Looks after the device while the node runs: whenever the kernel says that links or addresses have changed, what the
 * device has lost is put back, and the routes are judged again beside those of others. A device that was deleted cannot
 * come back by itself: the node is told, once.
 */
import type { Logger } from '../../shared/log/logger.ts';
import { isTunAttached, type TunQueues } from '../../shared/sys/tun.ts';
import type { Boundary } from '../boundary.ts';
import type { Device } from './device.ts';
import { NetlinkMonitor } from './netlinkMonitor.ts';

export interface DeviceWatchParts {
  readonly log: Logger;
  readonly boundary: Boundary;
  /** The device was deleted; `reason` is for the operator. */
  readonly onGone: (reason: string) => void;
}

/** The kernel tells of an address before it has made the route to it; and a burst of changes is one. */
const SETTLE_MS = 200;

export class DeviceWatch {
  readonly #device: Device;
  /** Of one of its queues. */
  readonly #fd: number;
  readonly #parts: DeviceWatchParts;
  readonly #monitor: NetlinkMonitor;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  /** Starts watching; null for a node without a device. Throws SysError. */
  static over(device: Device | null, queues: TunQueues | null, parts: DeviceWatchParts): DeviceWatch | null {
    return device === null || queues === null ? null : new DeviceWatch(device, queues.fds[0], parts);
  }

  private constructor(device: Device, fd: number, parts: DeviceWatchParts) {
    const { boundary } = parts;
    this.#device = device;
    this.#fd = fd;
    this.#parts = parts;
    this.#monitor = new NetlinkMonitor(
      () => this.#onChange(),
      (error) => boundary.report('netlink', error),
    );
    this.#onChange();
  }

  close(): void {
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    if (!this.#isOver) {
      this.#isOver = true;
      this.#monitor.close();
    }
  }

  #onChange(): void {
    if (this.#timer === null && !this.#isOver) {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#attend();
      }, SETTLE_MS);
      this.#timer.unref();
      this.#attend();
    }
  }

  #attend(): void {
    const { log, boundary, onGone } = this.#parts;
    const device = this.#device;
    boundary.guard('netlink', () => {
      if (this.#isOver || device.attend() !== 'gone') {
        return;
      }
      this.close();
      if (isTunAttached(this.#fd)) {
        const fields = { interface: device.name };
        log.warn(
          'The device went to another network namespace: its addresses and routes are no longer looked after',
          fields,
        );
      } else {
        onGone(`the device ${device.name} was deleted`);
      }
    });
  }
}
