/**
 * What makes a configuration usable beyond its own files: the certificates it names, and whether its addresses fit into
 * their networks. `weft check`, the start and a reload apply the same checks, so a configuration that passes one passes
 * all.
 */

import { timeText } from '../shared/cert/rules.ts';
import type { Prefix } from '../shared/ip/address.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/loader.ts';
import { adviceAt, errorAt, hasErrors, type Problem, warningAt } from './config/problems.ts';
import { networkProblems } from './networkChecks.ts';
import { ExpiryWatch } from './pki/expiry.ts';
import { accessWarning, type Identity, IdentityError, isInline, loadIdentity } from './pki/identity.ts';

type Locate = LoadedConfig['locate'];

export interface Validated {
  /** null if and only if a problem is an error. */
  readonly identity: Identity | null;
  readonly problems: readonly Problem[];
}

/** Loads the identity; all problems at once. The private key stays in the result. */
export function validate(config: Config, locate: Locate, unixSeconds: number): Validated {
  const problems: Problem[] = [...inlineKeyWarning(config, locate)];
  let identity: Identity | null = null;
  try {
    identity = loadIdentity(config.pki, unixSeconds);
    problems.push(...identity.warnings.map((warning) => identityProblem(warning, locate, warningAt)));
    problems.push(...networkProblems(config, identity, locate));
  } catch (error) {
    if (!(error instanceof IdentityError)) {
      throw error;
    }
    problems.push(...error.problems.map((problem) => identityProblem(problem, locate, errorAt)));
  }
  if (hasErrors(problems)) {
    identity?.privateKey.fill(0);
    return { identity: null, problems };
  }
  return { identity, problems };
}

/** Warnings about certificates that come to their end; a running node notices that by itself. */
export function expiryProblems(identity: Identity, locate: Locate, unixSeconds: number): readonly Problem[] {
  return new ExpiryWatch().notices(identity, unixSeconds).map(({ message, certificate }) => {
    const key = certificate.isCa ? 'ca' : 'cert';
    const text = `${message}: "${certificate.name}", ${timeText(certificate.notAfter)}`;
    return adviceAt(locate(['pki', key]), `pki.${key}`, text);
  });
}

/** Who the node is, for people: nothing of it is secret. */
export function identityFacts(identity: Identity, unixSeconds: number): readonly (readonly [string, string])[] {
  return identity.certificates.flatMap(({ version, name, networks, unsafeNetworks, groups, notAfter }) => {
    const listed = (prefixes: readonly Prefix[]): string => prefixes.map(({ text }) => text).join(', ');
    const days = Math.floor((notAfter - unixSeconds) / DAY_SECONDS);
    return [
      [`identity v${version}`, groups.length === 0 ? name : `${name}, groups ${groups.join(', ')}`],
      ['networks', `${listed(networks)}${unsafeNetworks.length === 0 ? '' : `, unsafe ${listed(unsafeNetworks)}`}`],
      ['certificate', `valid until ${timeText(notAfter)}, ${days} ${days === 1 ? 'day' : 'days'} left`],
    ] as const;
  });
}

/** The texts of `loadIdentity` begin with the key that they are about; what follows may name the certificate or file. */
function identityProblem(text: string, locate: Locate, make: typeof errorAt): Problem {
  const [, key, detail] = /^pki\.([a-z_]+)(?:: )?(.*)$/s.exec(text) ?? [null, null, text];
  return key === null ? make(locate(['pki']), '', text) : make(locate(['pki', key]), `pki.${key}`, detail.trim());
}

const DAY_SECONDS = 86_400;

/** A configuration with the private key in it is as secret as a key file. */
function inlineKeyWarning(config: Config, locate: Locate): Problem[] {
  if (!isInline(config.pki.key)) {
    return [];
  }
  const place = locate(['pki', 'key']);
  const warning = accessWarning(place.file);
  return warning === null ? [] : [warningAt(place, 'pki.key', `it is in this file, and ${warning}`)];
}
