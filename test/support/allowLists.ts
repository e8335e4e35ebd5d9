/** Allow lists written short, as they stand in a configuration: the rules of one, and lists compiled from such. */
import { LocalAllowList, RemoteAllowList } from '../../src/primary/control/allowList.ts';
import { readAllowRanges, readAllowRules, readLocalAllowRules } from '../../src/shared/config/allowLists.ts';
import type { Plain } from '../../src/shared/config/plain.ts';
import type { AllowRules, RemoteAllowRules } from '../../src/shared/ip/allowRules.ts';

type Verdicts = Readonly<Record<string, Plain>>;

export function allowRules(list: Verdicts): AllowRules {
  return readAllowRules(Object.entries(list));
}

export function remoteAllowRules(list: Verdicts, ranges: Readonly<Record<string, Verdicts>> = {}): RemoteAllowRules {
  return { remoteAllowList: allowRules(list), remoteAllowRanges: readAllowRanges(Object.entries(ranges)) };
}

export function remoteAllowList(list: Verdicts, ranges: Readonly<Record<string, Verdicts>> = {}): RemoteAllowList {
  return new RemoteAllowList(remoteAllowRules(list, ranges));
}

export function localAllowList(list: Verdicts): LocalAllowList {
  return new LocalAllowList(readLocalAllowRules(Object.entries(list)));
}
