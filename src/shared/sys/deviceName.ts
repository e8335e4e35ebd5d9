/**
 * The one rule for the names of devices, for the configuration and for whoever opens one. Facts: Linux `dev_valid_name`
 * (net/core/dev.c) and `IFNAMSIZ`, which is 16 with the terminating zero.
 */

/** The words after "expected". */
export const DEVICE_NAME_WORDS =
  'an interface name of 1 to 15 characters without blanks, "/" and ":", and without "%" but for one "%d"';

/** Whether the kernel would take it: '' lets it choose, a `%d` becomes the first free number. */
export function isDeviceName(name: string): boolean {
  return (
    Buffer.byteLength(name) <= NAME_BYTES_MAX &&
    name !== '.' &&
    name !== '..' &&
    !/[/:\s\0]/.test(name) &&
    /^[^%]*(?:%d[^%]*)?$/.test(name)
  );
}

const NAME_BYTES_MAX = 15;
