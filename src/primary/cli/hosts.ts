/** `weft hosts`: the tunnels of a running node and the handshakes that wait for an answer. */
import type { HostList } from '../inspection/status.ts';
import { INSPECT_FLAGS, inspect, noWords } from './inspect.ts';
import { formatAge, formatTable } from './table.ts';
import type { Io } from './usage.ts';

export async function hostsCommand(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft hosts [-json] [-socket PATH]',
      about:
        'Shows every tunnel of the running node. A star marks the one that carries this node\'s packets; "sent" is about\n' +
        'the number of packets sent. Below stand handshakes without an answer yet, hosts that are not reached with the\n' +
        'reasons, and whose handshakes were refused last.',
      flags: INSPECT_FLAGS,
      run: async ({ words, client }) => {
        noWords(words);
        const json = await client().get('/v1/hosts');
        return { json, text: hostsText(json as HostList) };
      },
    },
    argv,
    io,
  );
}

function hostsText({ hosts, pending, unreached, refused }: HostList): string {
  const tunnels = formatTable(
    [
      { title: 'vpn address' },
      { title: '' },
      { title: 'name' },
      { title: 'groups' },
      { title: 'endpoint' },
      { title: 'local index', isNumber: true },
      { title: 'remote index', isNumber: true },
      { title: 'sent', isNumber: true },
      { title: 'age', isNumber: true },
    ],
    hosts.map((host) => [
      host.vpnAddresses.join(', '),
      host.primary ? '*' : ' ',
      host.certificate.name,
      host.certificate.groups.join(', '),
      host.endpoint ?? 'by relay',
      host.localIndex,
      host.remoteIndex,
      host.sentCounter,
      formatAge(host.ageSeconds),
    ]),
  );
  const waiting = formatTable(
    [{ title: 'handshake with' }, { title: 'attempts', isNumber: true }, { title: 'endpoints' }],
    pending.map(({ vpnAddress, attempts, endpoints }) => [vpnAddress, attempts, endpoints.join(', ')]),
  );
  const faults = unreached.map(({ vpnAddress, lighthouse, reasons, seconds, attempts, nextAttemptSeconds }) => {
    const next = nextAttemptSeconds === null ? '' : `, the next in ${nextAttemptSeconds} s`;
    const tried = `${attempts} attempts in ${formatAge(seconds)}${next}`;
    return `${vpnAddress}${lighthouse ? ' (lighthouse)' : ''}: ${tried}\n${reasons.map((reason) => `  ${reason}\n`).join('')}`;
  });
  const calls = refused.map(({ endpoint, reason, count, secondsAgo }) => {
    return `  ${endpoint}: ${reason} (${count} times, the last ${formatAge(secondsAgo)} ago)\n`;
  });
  const lists = [
    faults.length === 0 ? '' : `not reached:\n${faults.join('')}`,
    calls.length === 0 ? '' : `handshakes refused:\n${calls.join('')}`,
  ];
  const tables = [tunnels, waiting, ...lists].filter((text) => text !== '');
  return tables.length === 0 ? 'no tunnels, no handshakes\n' : tables.join('\n');
}
