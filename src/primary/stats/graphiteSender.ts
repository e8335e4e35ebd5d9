/** Sends one text to Graphite over a connection of its own. */
import { connect } from 'node:net';

export interface GraphiteTarget {
  readonly host: string;
  readonly port: number;
  /** tcp, or tcp4 and tcp6 for one family only. */
  readonly protocol: string;
}

/** Resolves when the text has been taken; rejects otherwise, after `patienceMs` at the latest. */
export function sendToGraphite(target: GraphiteTarget, text: string, patienceMs: number): Promise<void> {
  const { host, port, protocol } = target;
  const family = protocol === 'tcp4' ? 4 : protocol === 'tcp6' ? 6 : 0;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: host === '' ? 'localhost' : host, port, family });
    const timer = setTimeout(() => socket.destroy(new Error(`no progress in ${patienceMs} ms`)), patienceMs);
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      // Of no effect when the text was taken.
      reject(new Error('the connection was closed'));
    });
    socket.end(text, () => {
      resolve();
      // Whatever Graphite may say is not read.
      socket.destroy();
    });
  });
}
