/** Control-plane settings as an empty configuration gives them, and addresses written short. */
import type { ControlSettings } from '../../src/primary/control/context.ts';
import { type Endpoint, type IpAddress, parseAddress, parseEndpoint } from '../../src/shared/ip/address.ts';

export const defaultSettings: ControlSettings = {
  handshakes: { tryIntervalMs: 100, retries: 10 },
  checkIntervalMs: 5000,
  pendingDeletionMs: 10_000,
  dropInactive: false,
  inactivityTimeoutMs: 600_000,
  disconnectInvalid: true,
  acceptRecvError: 'always',
  preferredRanges: [],
  punch: false,
  punchAllRemotes: false,
  amLighthouse: false,
  lighthouses: [],
  promoteEveryPackets: 1000,
  requeryEveryPackets: 5000,
  requeryWaitMs: 60_000,
};

export function ip(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === null) {
    throw new Error(`not an address: ${text}`);
  }
  return address;
}

export function at(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint === null) {
    throw new Error(`not an endpoint: ${text}`);
  }
  return endpoint;
}
