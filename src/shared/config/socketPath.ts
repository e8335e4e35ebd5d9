/** Where the local control socket is unless `api.socket` says otherwise; for the nodes and for those who ask them. */
export const SOCKET_DIRECTORY = '/run/weft';

/** The path of a node whose configuration names none. `device` is `tun.dev`, empty when the kernel chooses the name. */
export function defaultSocketPath(device: string): string {
  return `${SOCKET_DIRECTORY}/${device === '' ? 'weft' : device}.sock`;
}
