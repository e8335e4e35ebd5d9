/** CLOCK_BOOTTIME: counts from the machine's start like CLOCK_MONOTONIC, but also while it sleeps. (clock_gettime(2)) */
import { check, libc } from '../../shared/sys/libc.ts';
import { scratch } from '../../shared/sys/scratch.ts';

const CLOCK_BOOT_TIME = 7;

/** Milliseconds; only differences mean anything. */
export function bootMs(): number {
  check(libc.clockGettime(CLOCK_BOOT_TIME, scratch.address), 'clock_gettime', 'reading the boot clock');
  // struct timespec: seconds and nanoseconds, 64 bits each.
  return Number(scratch.view.getBigInt64(0, true)) * 1000 + Number(scratch.view.getBigInt64(8, true)) / 1e6;
}
