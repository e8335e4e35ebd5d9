/**
 * The file of the local API's socket: who may use it, and what to do with one that is already there.
 *
 * Only the user that runs the node may connect (mode 0600). A file whose node is dead is replaced; one behind which a
 * node answers is not.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/** sun_path of unix(7), less its closing zero byte. */
const PATH_BYTES_MAX = 107;
const PROBE_MS_MAX = 2_000;

/** The socket is not to be had; the message says why and what to do. */
export class SocketFileError extends Error {}

/** Makes the directory and removes what a dead node left at `path`. Throws SocketFileError when the path is no good. */
export async function clearSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw new SocketFileError(`api.socket: ${path} is longer than the ${PATH_BYTES_MAX} bytes of a socket's path`);
  }
  try {
    const made = mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    if (made !== undefined) {
      // The umask had a say in what mkdir made.
      chmodSync(dirname(path), 0o755);
    }
  } catch (error) {
    throw new SocketFileError(
      `api.socket: cannot make the directory of ${path} (${codeOf(error)}); name another path, or none to turn it off`,
    );
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    return;
  }
  if (!found.isSocket()) {
    throw new SocketFileError(`api.socket: ${path} exists and is no socket; remove it or name another path`);
  }
  if (await answers(path)) {
    throw new SocketFileError(
      `api.socket: another node answers at ${path}; stop it, or give each node an api.socket of its own`,
    );
  }
  rmSync(path, { force: true });
}

/** Whether somebody listens. A socket that does not say within two seconds counts as one that does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const finish = (isLive: boolean): void => {
      socket.destroy();
      resolve(isLive);
    };
    socket.setTimeout(PROBE_MS_MAX, () => finish(true));
    socket.once('connect', () => finish(true));
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') {
        finish(false);
      } else {
        socket.destroy();
        reject(new SocketFileError(`api.socket: cannot use ${path} (${code})`));
      }
    });
  });
}

/** `EACCES` and its like, else the whole message. */
export function codeOf(error: unknown): string {
  if (error instanceof Error) {
    return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  }
  return String(error);
}
