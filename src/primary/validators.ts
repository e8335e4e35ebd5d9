/**
 * What makes a configuration usable beyond its own files: the certificates it names. `weft check`, the start and a
 * reload apply the same checks, so a configuration that passes one passes all.
 */

import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/loader.ts';
import { errorAt, type Problem, warningAt } from './config/problems.ts';
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
  const place = locate(['pki']);
  let identity: Identity | null = null;
  try {
    identity = loadIdentity(config.pki, unixSeconds);
    problems.push(...identity.warnings.map((warning) => warningAt(place, '', warning)));
  } catch (error) {
    if (!(error instanceof IdentityError)) {
      throw error;
    }
    problems.push(...error.problems.map((problem) => errorAt(place, '', problem)));
  }
  const hasErrors = problems.some((problem) => problem.severity === 'error');
  return { identity: hasErrors ? null : identity, problems };
}

/** A configuration with the private key in it is as secret as a key file. */
function inlineKeyWarning(config: Config, locate: Locate): Problem[] {
  if (!isInline(config.pki.key)) {
    return [];
  }
  const place = locate(['pki', 'key']);
  const warning = accessWarning(place.file);
  return warning === null ? [] : [warningAt(place, 'pki.key', `it is in this file, and ${warning}`)];
}
