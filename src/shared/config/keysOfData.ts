/** The keys of the data plane: sockets, queues, device, cipher and firewall. Rows of `keys.ts`. */
import { ANY_MAX, ANY_MIN, feeding, fixed, INT_MAX, type Key, live } from './keyRows.ts';
import {
  any,
  choice,
  choiceOrFlag,
  device,
  duration,
  flag,
  integer,
  listOf,
  mapOf,
  name,
  objectOf,
  positiveDuration,
  prefix,
  type Shape,
  text,
} from './shapes.ts';

const recvErrorMode = choiceOrFlag('always', 'never', 'always', 'never', 'private');
const action = choice('drop', 'reject');
const rule = mapOf({ is: 'text', mayBeEmpty: false, secret: false }, any);
const route = objectOf({ route: prefix, mtu: integer(500, 65535) }, 'route', 'mtu');
const gateway = objectOf({ gateway: { is: 'address' }, weight: integer(1, INT_MAX) }, 'gateway');
/** The kernel's own least MTU is 68 (RFC 791); 0 in a route means the device's. */
const routeMtu: Shape = integer(0, 65535);
const unsafeRoute = objectOf(
  {
    route: prefix,
    via: { is: 'oneOrObjects', of: { is: 'address' }, objects: gateway },
    mtu: routeMtu,
    metric: integer(0, INT_MAX),
    install: flag,
  },
  'route',
  'via',
);

export const dataKeys: readonly Key[] = [
  fixed(
    'cipher',
    choice('aes', 'chachapoly'),
    'aes',
    'AES-256-GCM or ChaCha20-Poly1305; every node must use the same.',
  ),
  fixed(
    'crypto.provider',
    text,
    '',
    'weft only. Pins the AEAD library by name (`ipsec-mb`, `libgcrypt`, `node-evp`, `libcrypto`, `boringssl`, `node`); empty takes the fastest that is found. `ipsec-mb` offers AES only: ChaCha20 then goes to the fastest of the others.',
  ),
  fixed(
    'routines',
    integer(ANY_MIN, ANY_MAX),
    undefined,
    'Workers, each with a tun queue and a UDP socket. Default: the larger of the two deprecated keys, which is 1 without them. Negative is 1; more than 65536 is 65536.',
  ),
  fixed('listen.host', name, '0.0.0.0', 'Address or name to bind; `::` takes IPv4 and IPv6.'),
  fixed('listen.port', integer(0, 65535), 0, 'UDP port; 0 lets the kernel choose.'),
  fixed(
    'listen.batch',
    integer(ANY_MIN, ANY_MAX),
    64,
    'Datagrams read by one system call at most; below 1 is 1, above 1024 is 1024.',
  ),
  fixed(
    'listen.read_buffer',
    integer(0, INT_MAX, 'bytes'),
    4_194_304,
    "Receive buffer of each socket; 0 keeps the kernel's, which is too small for bursts of joined datagrams.",
  ),
  fixed('listen.write_buffer', integer(0, INT_MAX, 'bytes'), 0, "Send buffer of each socket; 0 keeps the kernel's."),
  live(
    'listen.send_recv_error',
    recvErrorMode,
    'always',
    'Tell senders of unknown tunnels so: to all, none, or private addresses.',
  ),
  live('listen.accept_recv_error', recvErrorMode, 'always', 'Whose such messages are heard.'),
  fixed('listen.so_mark', integer(0, INT_MAX), 0, 'Firewall mark of sent datagrams.'),
  fixed('listen.udp_offloads', flag, true, 'Use UDP segmentation and receive offload where the kernel has them.'),
  fixed(
    'listen.flow_labels',
    flag,
    true,
    'weft only. Label datagrams so that one tunnel is spread over several workers.',
  ),
  feeding(fixed('listen.routines', integer(ANY_MIN, ANY_MAX), 1, 'Deprecated: use `routines`.')),

  fixed('tun.disabled', flag, false, 'No device: a lighthouse without privileges.'),
  fixed('tun.dev', device, '', 'Name of the device; empty lets the kernel choose.'),
  live('tun.mtu', integer(68, 65535), 1300, 'MTU of the device.'),
  fixed('tun.tx_queue', integer(0, INT_MAX), 500, 'Transmit queue length of the device, in packets.'),
  live('tun.drop_local_broadcast', flag, false, 'Drop packets to the broadcast address of the own network.'),
  live('tun.drop_multicast', flag, false, 'Drop packets to multicast addresses.'),
  live('tun.routes', listOf(route), [], 'Other MTUs inside the vpn network: list of `route` and `mtu` (500 or more).'),
  live(
    'tun.unsafe_routes',
    listOf(unsafeRoute),
    [],
    'Networks behind other hosts: `route`, `via` (vpn address, or list of `gateway` and `weight`), and optionally `mtu` (0, or 500 or more), `metric`, `install`.',
  ),
  feeding(fixed('tun.routines', integer(ANY_MIN, ANY_MAX), 1, 'Deprecated: use `routines`.')),
  fixed('tun.use_offloads', flag, true, 'Exchange super-packets and unfinished checksums with the kernel.'),

  live('firewall.inbound', listOf(rule), [], 'Rules for packets from peers; without a rule everything is dropped.'),
  live('firewall.outbound', listOf(rule), [], 'Rules for packets to peers; without a rule everything is dropped.'),
  live('firewall.inbound_action', action, 'drop', 'What happens to refused packets from peers.'),
  live('firewall.outbound_action', action, 'drop', 'What happens to refused packets to peers.'),
  live(
    'firewall.default_local_cidr_any',
    flag,
    false,
    'Rules without `local_cidr` cover unsafe networks of this node too.',
  ),
  live('firewall.conntrack.tcp_timeout', positiveDuration, '12m', 'Life of an idle TCP flow.'),
  live('firewall.conntrack.udp_timeout', positiveDuration, '3m', 'Life of an idle UDP flow.'),
  live('firewall.conntrack.default_timeout', positiveDuration, '10m', 'Life of any other idle flow.'),
  fixed(
    'firewall.conntrack.max_connections',
    integer(1, 0x400_0000),
    131072,
    'Capacity of the flow table. Ignored by Nebula.',
  ),
  fixed(
    'firewall.conntrack.routine_cache_timeout',
    duration,
    undefined,
    "Life of each worker's own cache of flows; 0 is off. Default: off with one routine, 1s with more.",
  ),
];
