/**
 * What a reload does: one ordered list of steps, made from the difference of two typed configurations and two
 * identities. Everything has been validated before. Every step answers: it was applied, or the machine refused it, and then
 * its keys keep their old values, as do those that need a restart; all of these are named.
 */

import { errorText } from '../shared/log/errorText.ts';
import type { RootLogger } from '../shared/log/logger.ts';
import type { Config } from './config/config.ts';
import { fieldOf, fieldPath, reloadPlan, touches } from './config/difference.ts';
import { keys } from './config/keys.ts';
import { BrokenInvariant } from './control/invariant.ts';
import { changeFault, type Identity } from './pki/identity.ts';
import { networkTexts } from './settings.ts';

/** The parts of a node that take a new configuration while they run. */
export interface ReloadTargets {
  readonly log: RootLogger;
  applyIdentity(identity: Identity): void;
  applyControl(config: Config): void;
  applyDiscovery(config: Config, identity: Identity): void;
  applyRules(config: Config): void;
  applyDevice(config: Config, identity: Identity): void;
  applyStats(config: Config): void;
}

interface Step {
  /** For the log. */
  readonly name: string;
  /** Keys or sections whose change calls for it. */
  readonly keys: readonly string[];
  /** What of the identity it depends on: a certificate may be renewed in place, without any key changing. */
  readonly dependsOn?: (identity: Identity) => string;
  readonly apply: (config: Config, identity: Identity, targets: ReloadTargets) => void;
}

/** In the order in which they are applied. Workers get their settings afterwards, once. */
const STEPS: readonly Step[] = [
  { name: 'logging', keys: ['logging'], apply: (config, _identity, { log }) => log.configure(config.logging) },
  {
    name: 'remote addresses',
    keys: ['static_host_map', 'static_map', 'lighthouse', 'preferred_ranges', 'punchy'],
    dependsOn: fingerprintsOf,
    apply: (config, identity, targets) => targets.applyDiscovery(config, identity),
  },
  {
    name: 'tunnels',
    keys: [
      'timers',
      'tunnels',
      'counters',
      'punchy',
      'preferred_ranges',
      'lighthouse',
      'pki.disconnect_invalid',
      'listen.accept_recv_error',
    ],
    apply: (config, _identity, targets) => targets.applyControl(config),
  },
  {
    name: 'firewall',
    keys: ['firewall'],
    dependsOn: (identity) => `${networkTexts(identity)} ${unsafeNetworksOf(identity)}`,
    apply: (config, _identity, targets) => targets.applyRules(config),
  },
  {
    name: 'device',
    keys: ['tun'],
    dependsOn: (identity) => networkTexts(identity).join(' '),
    apply: (config, identity, targets) => targets.applyDevice(config, identity),
  },
  { name: 'statistics', keys: ['stats'], apply: (config, _identity, targets) => targets.applyStats(config) },
];

export interface Reloaded {
  readonly config: Config;
  readonly identity: Identity;
}

/** Applies what can be applied; returns what is in force afterwards. */
export function applyReload(
  old: Config,
  next: Config,
  oldIdentity: Identity,
  nextIdentity: Identity,
  targets: ReloadTargets,
): Reloaded {
  const { log } = targets;
  const plan = reloadPlan(old, next);
  const identityFault = changeFault(oldIdentity, nextIdentity);
  const identity = identityFault === null ? nextIdentity : oldIdentity;
  if (identityFault !== null) {
    log.error('The certificate was not reloaded, the old one stays in force', { error: identityFault });
  }
  if (plan.restartNeeded.length > 0) {
    log.warn('These keys changed but need a restart to take effect', { keys: plan.restartNeeded });
  }
  if (identity !== oldIdentity) {
    targets.applyIdentity(identity);
  }
  let config = withOldValues(old, next, plan.restartNeeded);
  const applied: string[] = identity === oldIdentity ? [] : ['identity'];
  for (const step of STEPS) {
    const isTouched = step.keys.some((key) => touches(plan.changed, key));
    if (isTouched || step.dependsOn?.(identity) !== step.dependsOn?.(oldIdentity)) {
      const error = faultOf(() => step.apply(config, identity, targets));
      if (error === null) {
        applied.push(step.name);
        continue;
      }
      const kept = plan.changed.filter((path) => step.keys.some((key) => touches([path], key)));
      config = withOldValues(old, config, kept);
      log.error(
        'The machine refused a part of the reload, its old values stay in force; reload again when the reason is gone',
        {
          step: step.name,
          keys: kept,
          error: errorText(error),
        },
      );
    }
  }
  log.info('Configuration reloaded', { changed: plan.changed, steps: applied });
  return { config, identity };
}

/** What a step threw, or null. A broken core is nobody's to pass over. */
function faultOf(step: () => void): unknown {
  try {
    step();
    return null;
  } catch (error) {
    if (error instanceof BrokenInvariant) {
      throw error;
    }
    return error;
  }
}

/** `next` with the old values of some keys: what is in force. */
function withOldValues(old: Config, next: Config, paths: readonly string[]): Config {
  const inForce = structuredClone(next);
  for (const path of paths) {
    const key = keys.get(path);
    if (key !== undefined) {
      const steps = fieldPath(key);
      const parent = steps.slice(0, -1).reduce<unknown>((node, step) => Reflect.get(node as object, step), inForce);
      Reflect.set(parent as object, steps[steps.length - 1], fieldOf(old, key));
    }
  }
  return inForce;
}

function fingerprintsOf(identity: Identity): string {
  return identity.certificates.map((certificate) => certificate.fingerprint).join(' ');
}

function unsafeNetworksOf(identity: Identity): string {
  return identity.certificates
    .map((certificate) => certificate.unsafeNetworks.map(({ text }) => text).join(','))
    .join(';');
}
