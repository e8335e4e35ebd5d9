/**
 * Why a host is not reached, in sentences for the operator: the most telling one first. Pure; what is known comes as
 * arguments, from the memory of troubles and from what the rest of the node knows of the host.
 */
import { compareAddresses, type Endpoint, type IpAddress } from '../../../shared/ip/address.ts';
import type { Remotes } from '../discovery/remotes.ts';
import { AnswerFault, type BadAnswers, type HostTrouble, type HostTroubles } from './hostTroubles.ts';

/** What the node knows beside the trouble itself. */
export interface TroubleFacts {
  readonly troubles: HostTroubles;
  readonly remotes: Remotes;
  readonly amLighthouse: boolean;
  /** `lighthouse.hosts`. */
  readonly lighthouses: readonly IpAddress[];
  readonly hasTunnel: (address: IpAddress) => boolean;
}

/** So many endpoints of a host are named. */
const NAMED_MAX = 4;

/** At least one sentence, without a full stop. `nowMs` is on the scale of `Now.ms`. */
export function troubleTexts(trouble: HostTrouble, facts: TroubleFacts, nowMs: number): readonly string[] {
  const texts: string[] = [];
  if (trouble.ownFault !== null) {
    texts.push(trouble.ownFault);
  }
  texts.push(...trouble.badAnswers.map(badAnswersText));
  const { troubles } = facts;
  for (const endpoint of trouble.endpoints) {
    const refused = troubles.refusedCaller(endpoint);
    if (refused !== null) {
      texts.push(`its own handshakes from ${endpoint.text} are refused here: ${refused.reason}`);
    }
  }
  const silent: Endpoint[] = [];
  for (const endpoint of trouble.endpoints) {
    const unsent = troubles.unsent(endpoint);
    if (unsent !== null && unsent.atMs >= trouble.lastAttemptMs) {
      texts.push(`cannot send to ${endpoint.text}: ${unsent.reason}`);
    } else if (!trouble.badAnswers.some(({ from }) => from.text === endpoint.text)) {
      silent.push(endpoint);
    }
  }
  if (silent.length > 0) {
    const seconds = Math.max(0, Math.floor((nowMs - trouble.sinceMs) / 1000));
    texts.push(`no answer from ${endpointsText(silent)} for ${seconds} s (${attemptsText(trouble.attempts)})`);
  }
  if (trouble.endpoints.length === 0 && trouble.ownFault === null) {
    texts.push(...nowhereTexts(trouble, facts));
  }
  return texts;
}

function badAnswersText({ fault, count, from, reason }: BadAnswers): string {
  const answers = count === 1 ? 'one answer' : `${count} answers`;
  switch (fault) {
    case AnswerFault.Unreadable:
      return `${answers} from ${from.text} could not be decrypted: does \`cipher\` differ?`;
    case AnswerFault.Refused:
      return `${answers} from ${from.text} ${count === 1 ? 'was' : 'were'} refused: ${reason}`;
    case AnswerFault.Stranger:
      return `another host answers at ${from.text}: ${reason}`;
    case AnswerFault.Self:
      return `${from.text} is this node itself`;
  }
}

/** No endpoint is known, or none may be used. */
function nowhereTexts({ address, hints }: HostTrouble, facts: TroubleFacts): readonly string[] {
  const { remotes, lighthouses, amLighthouse, hasTunnel } = facts;
  const isLighthouse = lighthouses.some((lighthouse) => compareAddresses(lighthouse, address) === 0);
  const unresolved = remotes.unresolved(address);
  if (unresolved.length > 0) {
    return unresolved.map(({ host, error }) => `the name "${host}" cannot be resolved: ${error}`);
  }
  if (hints.forbidden.length > 0) {
    return [
      `its endpoints ${endpointsText(hints.forbidden)} may not be used: an allow list, or an own network, forbids them`,
    ];
  }
  if (hints.relays.length > 0) {
    const names = hints.relays.map(({ text }) => text).join(', ');
    return [`its lighthouse names only relays (${names}); relays are not supported yet`];
  }
  if (remotes.isStatic(address) || isLighthouse) {
    return ['static_host_map names no endpoint of it'];
  }
  if (amLighthouse) {
    return ['it has not told this lighthouse where it is'];
  }
  if (lighthouses.length === 0) {
    return ['no lighthouse is configured (lighthouse.hosts), and static_host_map does not name it'];
  }
  const reached = lighthouses.filter(hasTunnel);
  return reached.length === 0
    ? [`no lighthouse is reached (${lighthouses.map(({ text }) => text).join(', ')}), so nobody can say where it is`]
    : [`the lighthouse ${reached[0].text} does not say where it is: is it running and has it the same lighthouses?`];
}

function endpointsText(endpoints: readonly Endpoint[]): string {
  const named = endpoints.slice(0, NAMED_MAX).map(({ text }) => text);
  const more = endpoints.length - named.length;
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ');
}

function attemptsText(attempts: number): string {
  return attempts === 1 ? 'one attempt' : `${attempts} attempts`;
}
