/** Where the local control socket is unless `api.socket` says otherwise; for the nodes and for those who ask them. */
export const SOCKET_DIRECTORY = '/run/weft';

/** The path of a node whose configuration names none. `device` is the name that the kernel gave; empty without a device. */
export function defaultSocketPath(device: string): string {
  return `${SOCKET_DIRECTORY}/${device === '' ? 'weft' : device}.sock`;
}
