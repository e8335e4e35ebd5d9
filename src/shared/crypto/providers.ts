/**
 * Which implementation encrypts: every candidate is tried in a process of its own, the fastest per cipher is taken. What a
 * trial found may be remembered (`TrialMemory`): then the chosen ones are only checked, here, and not timed.
 *
 * The primary calls `chooseProviders` once at start and hands the two names to its workers, which call `loadProvider`:
 * they load nothing but what has already passed. A library that is missing, of a wrong version, slow, wrong or crashing
 * is skipped; node:crypto is the last resort.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type AeadProvider, Cipher } from './aead.ts';
import { loadBoringProvider } from './boringProvider.ts';
import { loadGcryptProvider } from './gcryptProvider.ts';
import { ipsecMbVariants, loadIpsecMbProvider, processorFlags } from './ipsecMbProvider.ts';
import type { LoadedProvider } from './libraryProvider.ts';
import { createNodeProvider } from './nodeProvider.ts';
import { loadOpensslProvider } from './opensslProvider.ts';
import {
  BORING_PROVIDER_NAME,
  GCRYPT_PROVIDER_NAME,
  IPSEC_MB_PROVIDER_NAME,
  NODE_PROVIDER_NAME,
  PROVIDER_NAMES,
  type ProviderName,
} from './providerNames.ts';
import { checkProvider, type Speed } from './trial.ts';

/** What the trial found about one candidate; one JSON line of the probe each. */
export interface ProviderReport {
  readonly name: ProviderName;
  /** Null when it may not be used; `reason` says why. */
  readonly aes: Speed | null;
  readonly chacha: Speed | null;
  readonly reason: string;
  /** The files that were mapped as code when it was tried. Absent: the trial did not come to its end. */
  readonly files?: readonly string[];
}

/** Keeps what a trial found; `primary/machine/trialFile.ts` does so in a file. */
export interface TrialMemory {
  /** Reports of these candidates, in their order, that hold on this machine as it is now; null when there are none. */
  recall(names: readonly ProviderName[]): readonly ProviderReport[] | null;
  /** Complete reports, whose choice works in this process. */
  keep(report: readonly ProviderReport[]): void;
}

/** The chosen providers, loaded in this process, and what was found about all. */
export interface ProviderChoice {
  readonly aes: AeadProvider;
  readonly chacha: AeadProvider;
  readonly report: readonly ProviderReport[];
}

export interface ProviderOptions {
  /** `crypto.provider`: use this one or fail. */
  readonly pinned?: ProviderName | null;
  /** Every start tries all candidates anew without it. */
  readonly memory?: TrialMemory;
  /** Level debug: a candidate was skipped. Level info: the choice. */
  readonly log: (level: 'debug' | 'info', message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Replaces the probe script; for tests. */
  readonly script?: string;
  /** How long the trial of one candidate may take; for tests. */
  readonly trialTimeoutMs?: number;
}

/** A pinned provider that cannot be used. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
}

/**
 * Probes, chooses and loads. Takes about 0.4 s, or 0.02 s when what an earlier trial found is remembered. A pinned provider
 * that offers one cipher only is taken for that one, the fastest for the other. Throws ProviderError when the pinned
 * provider cannot be used.
 */
export function chooseProviders(options: ProviderOptions): ProviderChoice {
  const { memory, log } = options;
  const pinned = options.pinned ?? null;
  const names = pinned === null || pinned === IPSEC_MB_PROVIDER_NAME ? PROVIDER_NAMES : [pinned];
  const remembered = rememberedChoice(memory?.recall(names) ?? null, pinned);
  const choice = remembered ?? choiceOf(probeProviders(names, options.script, options.trialTimeoutMs), pinned);
  const { report } = choice;
  if (memory !== undefined && report.every(({ files }) => files !== undefined)) {
    memory.keep(report);
  }
  for (const { name, aes, chacha, reason } of report) {
    if (aes === null || chacha === null) {
      log('debug', 'crypto provider skipped', { provider: name, reason });
    }
  }
  const tried = remembered === null ? 'now' : 'at an earlier start';
  const chosen = { aes: choice.aes.name, chacha: choice.chacha.name };
  log('info', 'crypto providers chosen', { ...chosen, tried, timings: describe(report) });
  const advice = pinned === null ? fasterLibraryAdvice(report) : null;
  if (advice !== null) {
    log('info', advice, {});
  }
  return choice;
}

function choiceOf(report: readonly ProviderReport[], pinned: ProviderName | null): ProviderChoice {
  const aes = chooseFor(report, 'aes', pinned);
  const chacha = chooseFor(report, 'chacha', pinned);
  return { aes: loadProvider(aes), chacha: loadProvider(chacha), report };
}

/** Null when the choice does not work here: then only a trial tells why. */
function rememberedChoice(
  report: readonly ProviderReport[] | null,
  pinned: ProviderName | null,
): ProviderChoice | null {
  if (report === null) {
    return null;
  }
  try {
    const choice = choiceOf(report, pinned);
    const oracle = createNodeProvider();
    const isSound = Object.values(Cipher).every(
      (cipher) => checkProvider(providerFor(choice, cipher), cipher, oracle) === null,
    );
    return isSound ? choice : null;
  } catch {
    return null;
  }
}

/** One line on a library that would be faster than any found here, or null: it is there, or the processor lacks AES. */
export function fasterLibraryAdvice(
  report: readonly ProviderReport[],
  flags: readonly string[] = processorFlags(),
): string | null {
  const isFound = report.some((entry) => entry.name === IPSEC_MB_PROVIDER_NAME && entry.aes !== null);
  return isFound || ipsecMbVariants(flags).length === 0
    ? null
    : 'AES-256-GCM would be two to three times as fast with libIPSec_MB (Debian: apt-get install libipsec-mb1)';
}

/** The same without a choice at hand: tries that library alone. */
export function cipherAdvice(): string | null {
  return fasterLibraryAdvice(probeProviders([IPSEC_MB_PROVIDER_NAME]));
}

/**
 * Runs the trials in a child process, one line per candidate. A candidate that ends the child or hangs is reported as
 * such and the rest is tried in a new child.
 */
export function probeProviders(
  names: readonly ProviderName[],
  script: string = probeScript,
  trialTimeoutMs: number = PROBE_TIMEOUT_MS,
): readonly ProviderReport[] {
  const report: ProviderReport[] = [];
  let rest = names;
  while (rest.length > 0) {
    const child = spawnSync(process.execPath, [script, ...rest], {
      encoding: 'utf8',
      timeout: rest.length * trialTimeoutMs,
      killSignal: 'SIGKILL',
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const found = parseLines(child.stdout ?? '').slice(0, rest.length);
    report.push(...found);
    rest = rest.slice(found.length);
    if (rest.length > 0) {
      report.push({ name: rest[0], aes: null, chacha: null, reason: `the trial ended early: ${describeEnd(child)}` });
      rest = rest.slice(1);
    }
  }
  return report;
}

/** Loads one provider in this process, once. Throws ProviderError with the reasons when it cannot be loaded. */
export function loadProvider(name: ProviderName): AeadProvider {
  const known = loadedProviders.get(name);
  if (known !== undefined) {
    return known;
  }
  const { provider, reasons } = tryLoad(name);
  if (provider === null) {
    throw new ProviderError(`crypto provider ${name} cannot be loaded: ${reasons.join('; ')}`);
  }
  loadedProviders.set(name, provider);
  return provider;
}

const loadedProviders = new Map<ProviderName, AeadProvider>();

/** Loads one provider in this process, or says why not. */
export function tryLoad(name: ProviderName): LoadedProvider {
  switch (name) {
    case IPSEC_MB_PROVIDER_NAME:
      return loadIpsecMbProvider();
    case GCRYPT_PROVIDER_NAME:
      return loadGcryptProvider();
    case BORING_PROVIDER_NAME:
      return loadBoringProvider();
    case NODE_PROVIDER_NAME:
      return { provider: createNodeProvider(), reasons: [] };
    default:
      return loadOpensslProvider(name);
  }
}

/** The provider of a choice for a cipher. */
export function providerFor(choice: ProviderChoice, cipher: Cipher): AeadProvider {
  return cipher === Cipher.Aes256Gcm ? choice.aes : choice.chacha;
}

/** The provider to take for a cipher. Throws ProviderError when the pinned one offers neither. */
export function chooseFor(
  report: readonly ProviderReport[],
  cipher: 'aes' | 'chacha',
  pinned: ProviderName | null,
): ProviderName {
  const wanted = report.find((entry) => entry.name === pinned);
  if (pinned !== null && !wanted?.aes && !wanted?.chacha) {
    throw new ProviderError(
      `crypto.provider: ${pinned} cannot be used here (${wanted?.reason ?? 'unknown'}); name another or remove the key`,
    );
  }
  if (pinned !== null && wanted?.[cipher]) {
    return pinned;
  }
  let best: ProviderName = NODE_PROVIDER_NAME;
  let bestNs = Number.POSITIVE_INFINITY;
  for (const entry of report) {
    const speed = entry[cipher];
    if (speed !== null && speed.smallNs + speed.largeNs < bestNs) {
      best = entry.name;
      bestNs = speed.smallNs + speed.largeNs;
    }
  }
  return best;
}

function describeEnd(child: SpawnSyncReturns<string>): string {
  const words = (child.stderr ?? '').split('\n').find((line) => line.includes('rror'));
  return child.error?.message ?? child.signal ?? `exit code ${child.status}${words === undefined ? '' : `, ${words}`}`;
}

function parseLines(text: string): ProviderReport[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as ProviderReport);
}

function describe(report: readonly ProviderReport[]): Record<string, string> {
  const text = (speed: Speed | null): string =>
    speed === null ? '-' : `${speed.smallNs.toFixed(0)}/${speed.largeNs.toFixed(0)}`;
  return Object.fromEntries(
    report.map(({ name, aes, chacha }) => [name, `aes ${text(aes)} chacha ${text(chacha)} ns`]),
  );
}

/** The code of the trial, compiled beside this file. */
export const trialFolder: string = fileURLToPath(new URL('.', import.meta.url));

const probeScript = fileURLToPath(new URL('./providerProbe.js', import.meta.url));

const PROBE_TIMEOUT_MS = 3000;
