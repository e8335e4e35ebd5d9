/** What a worker is told, as the primary tells it for a configuration that says nothing but that everything may pass. */
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { NODE_PROVIDER_NAME } from '../../src/shared/crypto/providerNames.ts';
import type { WorkerSettings } from '../../src/shared/ipc/messages.ts';
import { rulesOf } from '../shared/firewall/certificates.ts';
import type { TestHost } from './certificates.ts';

const ANY = [{ port: 'any', proto: 'any', host: 'any' }];

/** Both refusals are answered, and nothing is offloaded. */
export function workerSettings(
  { certificate }: Pick<TestHost, 'certificate'>,
  overrides: Partial<WorkerSettings> = {},
): WorkerSettings {
  return {
    worker: 0,
    aesProvider: NODE_PROVIDER_NAME,
    chachaProvider: NODE_PROVIDER_NAME,
    cipher: Cipher.Aes256Gcm,
    certificate: certificate.encoded,
    certificateVersion: certificate.version,
    networks: certificate.networks,
    caNames: new Map(),
    firewall: firewallSettings({}),
    hasDevice: true,
    tunOffload: { vnetHeader: false, tso: false, uso: false },
    family: 4,
    ownPort: 0,
    udpOffloads: false,
    batch: 64,
    labelKey: null,
    sendRecvError: 'always',
    dropsMulticast: false,
    dropsLocalBroadcast: false,
    routes: [],
    lighthouse: null,
    log: { level: 'error', format: 'text', disableTimestamp: true },
    ...overrides,
  };
}

export interface FirewallWishes {
  /** Rules as an operator writes them. */
  readonly inbound?: readonly Record<string, unknown>[];
  readonly outbound?: readonly Record<string, unknown>[];
  readonly routineCacheMs?: number;
}

export function firewallSettings(wishes: FirewallWishes): WorkerSettings['firewall'] {
  const { inbound = ANY, outbound = ANY, routineCacheMs = 0 } = wishes;
  return {
    rules: rulesOf({ inbound, outbound }),
    rulesVersion: 1,
    rejectsInbound: true,
    rejectsOutbound: true,
    timeouts: { tcpMs: 60_000, udpMs: 60_000, defaultMs: 60_000 },
    routineCacheTimeoutMs: routineCacheMs,
  };
}
