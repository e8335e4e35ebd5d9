/** `weft lighthouse list|query`: who is where, as a running node knows it. */
import type { LighthouseEntry, LighthouseList } from '../inspection/lighthouse.ts';
import { uintFlag } from './flags.ts';
import { INSPECT_FLAGS, inspect, noWords, subcommandFault, UsageError } from './inspect.ts';
import { countText, formatTable } from './table.ts';
import type { Io } from './usage.ts';

const CALLS: readonly string[] = ['weft lighthouse list [flags]', 'weft lighthouse query [flags] ADDRESS'];

export async function lighthouseCommand(argv: readonly string[], io: Io): Promise<number> {
  const [subcommand, ...rest] = argv;
  switch (subcommand) {
    case 'list':
      return await list(rest, io);
    case 'query':
      return await query(rest, io);
    default:
      return subcommandFault(subcommand, CALLS, io);
  }
}

const LIST_FLAGS = { ...INSPECT_FLAGS, limit: uintFlag('Hosts at most', 1_000) };

async function list(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft lighthouse list [-limit N] [-json] [-socket PATH]',
      about: 'Shows the table from which a lighthouse answers; on any other node, what it knows of its peers.',
      flags: LIST_FLAGS,
      run: async ({ values, words, client }) => {
        noWords(words);
        const json = await client().get('/v1/lighthouse', { limit: String(values.limit) });
        return { json, text: listText(json as LighthouseList) };
      },
    },
    argv,
    io,
  );
}

async function query(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft lighthouse query [-json] [-socket PATH] ADDRESS',
      about: 'Shows what the node knows of the host with this vpn address. Exit code 1 when that is nothing.',
      flags: INSPECT_FLAGS,
      run: async ({ words, client }) => {
        if (words.length === 0) {
          throw new UsageError('ADDRESS is missing');
        }
        noWords(words.slice(1));
        const json = await client().get('/v1/lighthouse/query', { address: words[0] });
        return { json, text: entriesText([json as LighthouseEntry]) };
      },
    },
    argv,
    io,
  );
}

function listText({ lighthouse, count, hosts }: LighthouseList): string {
  const whose = lighthouse ? 'in the table of this lighthouse' : 'known to this node, which is no lighthouse';
  const more = count > hosts.length ? `, the first ${hosts.length} are shown` : '';
  return `${entriesText(hosts)}${countText(count, 'host')} ${whose}${more}\n`;
}

function entriesText(entries: readonly LighthouseEntry[]): string {
  return formatTable(
    [{ title: 'vpn address' }, { title: 'learned' }, { title: 'reported' }, { title: 'relays' }],
    entries.map(({ vpnAddresses, learned, reported, relays }) => [
      vpnAddresses.join(', '),
      learned.join(', '),
      reported.join(', '),
      relays.join(', '),
    ]),
  );
}
