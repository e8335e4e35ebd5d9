/** `weft firewall rules|flows|diff`: the firewall of a running node, and what other rules would do to its flows. */
import { existsSync } from 'node:fs';
import { loadConfig } from '../config/loader.ts';
import { formatProblem } from '../config/problems.ts';
import type { CutSummary, FlowList, RuleList, RulesDifference } from '../inspection/firewall.ts';
import { ApiClient, ApiClientError, chooseSocket } from './apiClient.ts';
import { stringFlag, uintFlag } from './flags.ts';
import { INSPECT_FLAGS, inspect, noWords, subcommandFault, UsageError } from './inspect.ts';
import { countText, formatAge, formatTable } from './table.ts';
import type { Io } from './usage.ts';

const CALLS: readonly string[] = [
  'weft firewall rules [flags]',
  'weft firewall flows [flags]',
  'weft firewall diff -config NEW [flags]',
];

export async function firewallCommand(argv: readonly string[], io: Io): Promise<number> {
  const [subcommand, ...rest] = argv;
  switch (subcommand) {
    case 'rules':
      return await rules(rest, io);
    case 'flows':
      return await flows(rest, io);
    case 'diff':
      return await diff(rest, io);
    default:
      return subcommandFault(subcommand, CALLS, io);
  }
}

async function rules(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft firewall rules [-json] [-socket PATH]',
      about: 'Shows the rules in force, each with the number of flows it has let in since they were loaded.',
      flags: INSPECT_FLAGS,
      run: async ({ words, client }) => {
        noWords(words);
        const json = await client().get('/v1/firewall/rules');
        return { json, text: rulesText(json as RuleList) };
      },
    },
    argv,
    io,
  );
}

const FLOWS_FLAGS = {
  ...INSPECT_FLAGS,
  proto: stringFlag('Only this protocol: tcp, udp, icmp, icmpv6 or a number'),
  address: stringFlag('Only flows from or to this address or prefix'),
  port: stringFlag('Only flows with this local or remote port'),
  direction: stringFlag('Only flows that were opened in this direction: incoming or outgoing'),
  limit: uintFlag('Flows at most', 1_000),
};

async function flows(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft firewall flows [-proto P] [-address A] [-port N] [-direction D] [-limit N] [-json] [-socket PATH]',
      about: 'Shows the live flows of the connection table, local end first.',
      flags: FLOWS_FLAGS,
      run: async ({ values, words, client }) => {
        noWords(words);
        const filters = {
          protocol: values.proto,
          address: values.address,
          port: values.port,
          direction: values.direction,
        };
        const given = Object.entries(filters).filter(([, value]) => value !== '');
        const json = await client().get('/v1/firewall/flows', {
          ...Object.fromEntries(given),
          limit: String(values.limit),
        });
        return { json, text: flowsText(json as FlowList) };
      },
    },
    argv,
    io,
  );
}

const DIFF_FLAGS = {
  ...INSPECT_FLAGS,
  config: stringFlag('Path of the new configuration: a YAML file or a directory of them'),
};

async function diff(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft firewall diff -config NEW [-json] [-socket PATH]',
      about:
        'Shows which live flows of the running node a reload with the configuration NEW would cut. Changes nothing.\n' +
        'Exit code 0 when it would cut none, 1 when it would cut some or refuse the configuration.\n' +
        "Without -socket it asks the node at NEW's own api.socket, if there is one.",
      flags: DIFF_FLAGS,
      run: async ({ values, words }) => {
        noWords(words);
        if (values.config === '') {
          throw new UsageError('-config flag must be set');
        }
        const { config, problems, written } = loadConfig(values.config);
        if (config === null) {
          throw new ApiClientError(`${values.config}: not usable`, problems.map(formatProblem));
        }
        const own = config.api.socket !== null && existsSync(config.api.socket) ? config.api.socket : '';
        const client = new ApiClient(chooseSocket(values.socket === '' ? own : values.socket));
        const json = await client.post('/v1/firewall/diff', {
          inbound: written('firewall.inbound') ?? [],
          outbound: written('firewall.outbound') ?? [],
          defaultLocalCidrAny: config.firewall.defaultLocalCidrAny,
        });
        const difference = json as RulesDifference;
        return { json, text: differenceText(difference), exitCode: difference.cutCount === 0 ? 0 : 1 };
      },
    },
    argv,
    io,
  );
}

function rulesText(list: RuleList): string {
  const table = formatTable(
    [{ title: 'direction' }, { title: 'rule', isNumber: true }, { title: 'flows', isNumber: true }, { title: 'text' }],
    list.rules.map(({ direction, number, hits, text }) => [
      direction === 'incoming' ? 'inbound' : 'outbound',
      number,
      hits,
      text,
    ]),
  );
  return `${table}${list.rules.length} rules, version ${list.version}\n`;
}

function flowsText({ count, flows: shown }: FlowList): string {
  const table = formatTable(
    [
      { title: 'protocol' },
      { title: 'local' },
      { title: 'remote' },
      { title: 'opened' },
      { title: 'expires', isNumber: true },
      { title: 'worker', isNumber: true },
      { title: 'rule' },
    ],
    shown.map((flow) => [
      flow.fragment ? `${flow.protocol} fragment` : flow.protocol,
      endText(flow.localAddress, flow.localPort, flow.protocol),
      endText(flow.remoteAddress, flow.remotePort, flow.protocol),
      flow.direction,
      formatAge(flow.expiresInSeconds),
      flow.openedByWorker,
      `${flow.rule.name}${flow.rule.text === null ? ` of version ${flow.rulesVersion}` : `: ${flow.rule.text}`}`,
    ]),
  );
  const more = count > shown.length ? `, the first ${shown.length} are shown` : '';
  return `${table}${countText(count, 'flow')}${more}\n`;
}

function differenceText(difference: RulesDifference): string {
  const warnings = difference.warnings.map((warning) => `warning: ${warning}\n`).join('');
  const { flowCount, cutCount, cut } = difference;
  if (difference.hash === difference.newHash) {
    return `${warnings}the rules are the same; none of ${flowCount} live flows would be cut\n`;
  }
  const table = formatTable(
    [{ title: 'protocol' }, { title: 'local' }, { title: 'remote' }, { title: 'opened' }, { title: 'then' }],
    cut.map(cutRow),
  );
  const more = cutCount > cut.length ? `, the first ${cut.length} are shown` : '';
  return `${warnings}${table}${cutCount} of ${flowCount} live flows would be cut${more}\n`;
}

function cutRow({ packet, direction, reopens }: CutSummary): readonly string[] {
  return [
    packet.Fragment ? `${packet.Protocol} fragment` : packet.Protocol,
    endText(packet.LocalAddr, packet.LocalPort, packet.Protocol),
    endText(packet.RemoteAddr, packet.RemotePort, packet.Protocol),
    direction,
    reopens ? 'a packet the other way opens it again' : 'refused',
  ];
}

function endText(address: string, port: number, protocol: string): string {
  if (protocol.startsWith('icmp')) {
    return port === 0 ? address : `${address} id ${port}`;
  }
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
