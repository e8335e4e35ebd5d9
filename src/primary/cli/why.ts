/** `weft why SRC DST PROTO [PORTS]`: what a running node would do with a packet, and why. */
import type { Check, RuleExplanation } from '../inspection/explain.ts';
import type { WhyAnswer } from '../inspection/why.ts';
import { boolFlag, stringFlag } from './flags.ts';
import { INSPECT_FLAGS, inspect, noWords, UsageError } from './inspect.ts';
import { formatAge, formatFields } from './table.ts';
import type { Io } from './usage.ts';

const FLAGS = {
  ...INSPECT_FLAGS,
  via: stringFlag("The packet comes through the tunnel of the peer with this vpn address (default: its source's)"),
  fragment: boolFlag('A fragment other than the first, which has no ports'),
};

const ABOUT = `Shows what the running node would do now with a packet from SRC to DST, and which check decides.
PROTO is tcp, udp, icmp, icmpv6 or a number. PORTS is DESTINATION or SOURCE:DESTINATION; for ICMP the identifier.
With both ports (or the identifier) the packet's own conntrack entry is looked up, otherwise it is taken for the first
of its flow. Exit code 0 when the packet passes, 1 when it does not.`;

export async function whyCommand(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft why [-via PEER] [-fragment] [-json] [-socket PATH] SRC DST PROTO [PORTS]',
      about: ABOUT,
      flags: FLAGS,
      run: async ({ values, words, client }) => {
        if (words.length < 3) {
          throw new UsageError('SRC, DST and PROTO are needed');
        }
        noWords(words.slice(4));
        const [source, destination, protocol, ports] = words;
        const body = {
          source,
          destination,
          protocol,
          ...portsOf(protocol, ports),
          fragment: values.fragment,
          ...(values.via === '' ? {} : { via: values.via }),
        };
        const json = (await client().post('/v1/why', body)) as WhyAnswer;
        return { json, text: whyText(json), exitCode: json.outcome === 'allowed' ? 0 : 1 };
      },
    },
    argv,
    io,
  );
}

function portsOf(protocol: string, text: string | undefined): Readonly<Record<string, number>> {
  if (text === undefined) {
    return {};
  }
  const match = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text);
  const isIcmp = /^(icmp|icmpv6|1|58)$/i.test(protocol);
  const numbers = match === null ? [] : match.slice(1).flatMap((word) => (word === undefined ? [] : [Number(word)]));
  if (numbers.length === 0 || numbers.some((port) => port > 65_535) || (isIcmp && numbers.length > 1)) {
    const wanted = isIcmp ? 'an identifier' : 'DESTINATION or SOURCE:DESTINATION';
    throw new UsageError(`PORTS: expected ${wanted} of at most 65535, not ${text}`);
  }
  if (isIcmp) {
    return { identifier: numbers[0] };
  }
  return numbers.length === 1
    ? { destinationPort: numbers[0] }
    : { sourcePort: numbers[0], destinationPort: numbers[1] };
}

function whyText(answer: WhyAnswer): string {
  const { tunnel, conntrack, worker } = answer;
  const verdict = answer.action === null ? answer.outcome : `${answer.outcome} (${answer.action})`;
  const fields: (readonly [string, string | null])[] = [
    ['verdict', `${verdict}: ${answer.reason}`],
    ['packet', `${answer.direction} ${answer.protocol}, ${answer.source} to ${answer.destination}`],
    ['route', answer.route],
  ];
  if (tunnel !== null) {
    const groups =
      tunnel.certificate.groups.length === 0 ? 'no groups' : `groups ${tunnel.certificate.groups.join(', ')}`;
    const place = tunnel.endpoint === null ? 'by relay' : `at ${tunnel.endpoint}`;
    fields.push(['tunnel', `${tunnel.certificate.name} (${tunnel.vpnAddresses.join(', ')}; ${groups}) ${place}`]);
    fields.push(...answer.identity.map((check) => ['identity', checkText(check)] as const));
    fields.push(['cache', answer.cache]);
    fields.push(['conntrack', conntrackText(answer)]);
  }
  if (answer.rule !== null) {
    const isOld = conntrack !== null && answer.rules.length === 0;
    fields.push([isOld ? 'rule today' : 'rule', `${answer.rule.name}: ${answer.rule.text}`]);
    fields.push(...answer.rule.checks.map((check) => ['', checkText(check)] as const));
  }
  if (worker !== null) {
    fields.push(['worker', worker.worker === null ? worker.reason : `${worker.worker}, ${worker.reason}`]);
  }
  return formatFields(fields) + missedRules(answer);
}

function conntrackText({ conntrack, liveFlows }: WhyAnswer): string {
  if (conntrack === null) {
    return liveFlows === 0 ? 'no entry' : `no entry for exactly this packet; ${liveFlows} live flows beside it`;
  }
  const { direction, expiresInSeconds, rule, rulesVersion, openedByWorker, recheck } = conntrack;
  const by = openedByWorker === null ? '' : ` by worker ${openedByWorker}`;
  const text = rule.text === null ? `of rules version ${rulesVersion}` : `(${rule.text})`;
  return `${direction} flow opened${by}, let in by ${rule.name} ${text}, expires in ${formatAge(expiresInSeconds)}, re-check ${recheck}`;
}

/** Of a refused packet: each rule with what did not fit. */
function missedRules(answer: WhyAnswer): string {
  const missed = answer.rule === null ? answer.rules : [];
  const lines = missed.flatMap((rule: RuleExplanation) => [
    `${rule.name}: ${rule.text}`,
    ...rule.checks.map((check) => `  ${checkText(check)}`),
  ]);
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

function checkText({ field, wanted, actual, passed }: Check): string {
  return `${passed ? 'ok  ' : 'FAIL'} ${field}: ${actual === '' ? 'nothing' : actual}, wanted ${wanted === '' ? 'nothing' : wanted}`;
}
