/**
 * Starts a node's local API where the configuration wants it. An explicit `api.socket` that is not to be had refuses the
 * start; the default path is an offer: a node that cannot have it says so and goes on without.
 */

import type { Logger } from '../../shared/log/logger.ts';
import type { Boundary } from '../boundary.ts';
import { defaultSocketPath } from '../config/socketPath.ts';
import type { NodeView } from '../inspection/nodeView.ts';
import { routesOf } from './routes.ts';
import { ApiServer } from './server.ts';
import { SocketFileError } from './socketFile.ts';

/** Null when it is off. Throws SocketFileError. */
export async function openApi(view: NodeView, log: Logger, boundary: Boundary): Promise<ApiServer | null> {
  const { api, tun } = view.config;
  if (api.socket === null) {
    return null;
  }
  const defaultPath = defaultSocketPath(view.interfaceName ?? tun.dev);
  const path = api.socket === '' ? defaultPath : api.socket;
  const server = new ApiServer({ path, routes: routesOf(view), boundary });
  try {
    await server.listen();
  } catch (error) {
    if (!(error instanceof SocketFileError) || path !== defaultPath) {
      throw error;
    }
    log.warn('The node goes on without its local control socket', { reason: error.message });
    return null;
  }
  return server;
}
