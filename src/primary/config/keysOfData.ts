/** The keys of the data plane: sockets, queues, device, cipher and firewall. Rows of `keys.ts`. */

import { PROVIDER_NAMES } from '../../shared/crypto/providerNames.ts';
import type { Rule } from '../../shared/firewall/rule.ts';
import type { UnsafeRoute } from './config.ts';
import { feeding, fixed, INT_MAX, live, U32_MAX } from './keyRows.ts';
import { plainOf } from './plain.ts';
import type { PathStep } from './problems.ts';
import { parseRules, type RuleFinding } from './ruleParser.ts';
import {
  address,
  anyInteger,
  byteCount,
  choice,
  choiceOrFlag,
  device,
  duration,
  flag,
  integer,
  listenHost,
  name,
  numberOrError,
  positiveDuration,
  prefix,
} from './scalars.ts';
import { any, field, firm, listOf, mapOf, mapped, objectOf, oneOrObjects, otherwise, type Shape } from './shapes.ts';
import type { Spot } from './spot.ts';

const recvErrorMode = choiceOrFlag('always', 'never', 'always', 'never', 'private');
const action = choice('drop', 'reject');
const route = objectOf({ route: field(prefix), mtu: field(integer(500, 65535)) });

const gateway = objectOf({ gateway: field(address), weight: field(integer(1, INT_MAX), 1) });
const onlyGateway = mapped(address, (only) => ({ gateway: only, weight: 1 }));

const unsafeRoute: Shape<UnsafeRoute> = mapped(
  objectOf({
    route: field(prefix),
    via: field(oneOrObjects(onlyGateway, gateway)),
    // The kernel's own least MTU is 68 (RFC 791); 0 means the device's.
    mtu: field(integer(0, 65535), 0),
    metric: field(integer(0, INT_MAX), 0),
    install: field(flag, true),
  }),
  checkedRoute,
);

function checkedRoute(entry: UnsafeRoute, spot: Spot): UnsafeRoute | undefined {
  const isShort = entry.mtu > 0 && entry.mtu < 500;
  if (isShort) {
    spot.error(`expected 0 or at least 500, found ${entry.mtu}`, 'mtu');
  }
  if (entry.via.length === 0) {
    spot.error('the list of gateways is empty', 'via');
  }
  return isShort || entry.via.length === 0 ? undefined : entry;
}

/** Lists of maps; the firewall's own reader makes rules of them, and its findings get their place here. */
function rules(incoming: boolean): Shape<readonly Rule[]> {
  return mapped(firm(listOf(mapOf(name, any))), (_, spot) => {
    const parsed = parseRules(plainOf(spot.node), incoming);
    for (const finding of parsed.problems) {
      spot.error(finding.message, ...stepsTo(finding));
    }
    for (const finding of parsed.warnings) {
      spot.warn(finding.message, ...stepsTo(finding));
    }
    return parsed.problems.length > 0 ? undefined : parsed.rules;
  });
}

function stepsTo({ index, key }: RuleFinding): readonly PathStep[] {
  return [index, key].filter((step) => step !== null);
}

export const dataKeys = {
  cipher: fixed(
    firm(choice('aes', 'chachapoly')),
    'aes',
    'AES-256-GCM or ChaCha20-Poly1305; every node must use the same.',
  ),
  'crypto.provider': fixed(
    firm(choice('', ...PROVIDER_NAMES)),
    '',
    'weft only. Pins the AEAD library by name (`ipsec-mb`, `libgcrypt`, `node-evp`, `libcrypto`, `boringssl`, `node`); empty takes the fastest that is found. `ipsec-mb` offers AES only: ChaCha20 then goes to the fastest of the others.',
  ),
  routines: fixed(
    anyInteger,
    undefined,
    'Workers, each with a tun queue and a UDP socket. Default: the larger of the two deprecated keys, which is 1 without them. Negative is 1; more than 65536 is 65536.',
  ),
  'listen.host': fixed(listenHost, '0.0.0.0', 'Address or name to bind; `::` and empty text take IPv4 and IPv6.'),
  'listen.port': fixed(numberOrError(0, 65535), 0, 'UDP port; 0 lets the kernel choose.'),
  'listen.batch': fixed(anyInteger, 64, 'Datagrams read by one system call at most; below 1 is 1, above 1024 is 1024.'),
  'listen.read_buffer': fixed(
    byteCount(INT_MAX),
    4_194_304,
    "Receive buffer of each socket; 0 keeps the kernel's, which is too small for bursts of joined datagrams.",
  ),
  'listen.write_buffer': fixed(byteCount(INT_MAX), 0, "Send buffer of each socket; 0 keeps the kernel's."),
  'listen.send_recv_error': live(
    recvErrorMode,
    'always',
    'Tell senders of unknown tunnels so: to all, none, or private addresses.',
  ),
  'listen.accept_recv_error': live(recvErrorMode, 'always', 'Whose such messages are heard.'),
  'listen.so_mark': fixed(integer(0, U32_MAX), 0, 'Firewall mark of sent datagrams.'),
  'listen.udp_offloads': fixed(flag, true, 'Use UDP segmentation and receive offload where the kernel has them.'),
  'listen.flow_labels': fixed(
    firm(flag),
    true,
    'weft only. Label datagrams so that one tunnel is spread over several workers.',
  ),
  'listen.routines': feeding(fixed(anyInteger, 1, 'Deprecated: use `routines`.')),

  'tun.disabled': fixed(flag, false, 'No device: a lighthouse without CAP_NET_ADMIN.'),
  'tun.dev': fixed(firm(device), '', 'Name of the device; empty lets the kernel choose.'),
  'tun.mtu': live(numberOrError(68, 65535), 1300, 'MTU of the device.'),
  'tun.tx_queue': fixed(integer(0, INT_MAX), 500, 'Transmit queue length of the device, in packets.'),
  'tun.drop_local_broadcast': live(flag, false, 'Drop packets to the broadcast address of the own network.'),
  'tun.drop_multicast': live(flag, false, 'Drop packets to multicast addresses.'),
  'tun.routes': live(
    firm(listOf(route)),
    [],
    'Other MTUs inside the vpn network: list of `route` and `mtu` (500 or more).',
  ),
  'tun.unsafe_routes': live(
    firm(listOf(unsafeRoute)),
    [],
    'Networks behind other hosts: `route`, `via` (vpn address, or list of `gateway` and `weight`), and optionally `mtu` (0, or 500 or more), `metric`, `install`.',
  ),
  'tun.routines': feeding(fixed(anyInteger, 1, 'Deprecated: use `routines`.')),
  'tun.use_offloads': fixed(flag, true, 'Exchange super-packets and unfinished checksums with the kernel.'),

  'firewall.inbound': live(rules(true), [], 'Rules for packets from peers; without a rule everything is dropped.'),
  'firewall.outbound': live(rules(false), [], 'Rules for packets to peers; without a rule everything is dropped.'),
  'firewall.inbound_action': live(action, 'drop', 'What happens to refused packets from peers.'),
  'firewall.outbound_action': live(action, 'drop', 'What happens to refused packets to peers.'),
  'firewall.default_local_cidr_any': live(
    firm(flag),
    false,
    'Rules without `local_cidr` cover unsafe networks of this node too.',
  ),
  'firewall.conntrack.tcp_timeout': live(positiveDuration, '12m', 'Life of an idle TCP flow.'),
  'firewall.conntrack.udp_timeout': live(positiveDuration, '3m', 'Life of an idle UDP flow.'),
  'firewall.conntrack.default_timeout': live(positiveDuration, '10m', 'Life of any other idle flow.'),
  'firewall.conntrack.max_connections': fixed(
    integer(1, 0x400_0000),
    131072,
    'Capacity of the flow table. Ignored by Nebula.',
  ),
  'firewall.conntrack.routine_cache_timeout': fixed(
    otherwise(duration, 0, 'the cache is off'),
    undefined,
    "Life of each worker's own cache of flows; 0 is off. Default: off with one routine, 1s with more.",
  ),
};
