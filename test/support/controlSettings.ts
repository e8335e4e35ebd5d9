/** Control-plane settings as an empty configuration gives them. */
import type { ControlSettings } from '../../src/primary/control/tunnels/context.ts';

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
