/** The keys of the control plane: identity, discovery, tunnels' life, and what the operator sees. Rows of `keys.ts`. */
import { feeding, fixed, INT_MAX, type Key, live, required, U32_MAX } from './keyRows.ts';
import {
  address,
  choice,
  duration,
  fingerprint,
  flag,
  hostPort,
  integer,
  listOf,
  mapOf,
  name,
  objectOf,
  permission,
  positiveDuration,
  prefix,
  secret,
  text,
} from './shapes.ts';

const allowList = mapOf({ is: 'prefix' }, permission);
const localAllowList = mapOf({ is: 'prefix' }, permission, { interfaces: mapOf({ is: 'pattern' }, permission) });
const calculatedRemote = objectOf({ mask: prefix, port: integer(0, 65535) }, 'mask', 'port');

export const nodeKeys: readonly Key[] = [
  required('pki.ca', name, 'CA certificates: a path, or PEM text in place.'),
  required(
    'pki.cert',
    name,
    "This node's certificate, or its v1 and v2 certificates one after the other: path or PEM.",
  ),
  required('pki.key', secret, "This node's private key: path or PEM. Never printed."),
  live('pki.blocklist', listOf(fingerprint), [], 'Certificates that are refused, by fingerprint.'),
  live('pki.disconnect_invalid', flag, true, 'Close a tunnel when its certificate expires or its CA is gone.'),
  live(
    'pki.initiating_version',
    choice('1', '2'),
    undefined,
    'Certificate version offered first. Default: 1 if there is a v1 certificate, else 2.',
  ),

  live(
    'static_host_map',
    mapOf({ is: 'address' }, { is: 'oneOrMany', of: { is: 'hostPort' } }),
    {},
    'Underlay endpoints by vpn address. Names are resolved again every `static_map.cadence`.',
  ),
  live('static_map.cadence', positiveDuration, '30s', 'Time between resolutions of names in `static_host_map`.'),
  live('static_map.network', choice('ip4', 'ip6', 'ip'), 'ip4', 'Address families asked for; `ip` asks for both.'),
  live('static_map.lookup_timeout', positiveDuration, '250ms', 'Time limit of one resolution.'),

  fixed('lighthouse.am_lighthouse', flag, false, 'This node is a lighthouse. Needs a `listen.port` other than 0.'),
  live(
    'lighthouse.hosts',
    listOf(address),
    [],
    'Vpn addresses of the lighthouses; each needs a `static_host_map` entry.',
  ),
  live(
    'lighthouse.interval',
    integer(0, INT_MAX, 'seconds'),
    10,
    'Time between updates to the lighthouses; 0 sends none.',
  ),
  live('lighthouse.serve_dns', flag, false, 'Answer DNS questions for the names of known hosts (lighthouses only).'),
  live('lighthouse.dns.host', text, '', 'Address the DNS server listens on; empty means all.'),
  live('lighthouse.dns.port', integer(0, 65535), 53, 'UDP and TCP port of the DNS server.'),
  live('lighthouse.remote_allow_list', allowList, undefined, 'Endpoints of peers that are believed. Default: all.'),
  live(
    'lighthouse.remote_allow_ranges',
    mapOf({ is: 'prefix' }, allowList),
    undefined,
    'Further allow lists by the vpn network of the peer; both lists must allow. Default: none.',
  ),
  live(
    'lighthouse.local_allow_list',
    localAllowList,
    undefined,
    'Own addresses that are told to lighthouses; `interfaces` maps patterns of interface names. Default: all.',
  ),
  live(
    'lighthouse.advertise_addrs',
    listOf(hostPort),
    [],
    'Endpoints told to lighthouses first; port 0 is the own port.',
  ),
  live(
    'lighthouse.calculated_remotes',
    mapOf({ is: 'prefix' }, listOf(calculatedRemote)),
    undefined,
    'Endpoints computed from vpn addresses: vpn network → list of `mask` and `port`. Default: none.',
  ),
  fixed('lighthouse.max_hosts', integer(1, 0x100_0000), 131072, 'weft only. Capacity of the table of known hosts.'),
  live('preferred_ranges', listOf(prefix), [], 'Underlay networks whose endpoints are tried first.'),
  feeding(
    live(
      'local_range',
      prefix,
      undefined,
      'Old name of `preferred_ranges` with one network; still read, with a warning.',
    ),
  ),

  live('punchy.punch', flag, false, 'Keep NAT mappings open with one-byte datagrams.'),
  live('punchy.respond', flag, false, 'Answer a punch with a packet of our own, for NATs that one side cannot open.'),
  live('punchy.delay', duration, '1s', 'Wait before a punch that a lighthouse asked for.'),
  live('punchy.respond_delay', duration, '5s', 'Wait before the answer of `punchy.respond`.'),
  live('punchy.target_all_remotes', flag, false, 'Punch every known endpoint of a peer, not only the current one.'),

  fixed('handshakes.try_interval', positiveDuration, '100ms', 'Attempt n follows n times this after the one before.'),
  fixed('handshakes.retries', integer(1, 1000), 10, 'Attempts before a handshake is given up.'),
  fixed('handshakes.query_buffer', integer(1, 65536), 64, 'Queries waiting to be sent to lighthouses.'),
  live('tunnels.drop_inactive', flag, false, 'Close tunnels that carried nothing for `tunnels.inactivity_timeout`.'),
  live('tunnels.inactivity_timeout', positiveDuration, '10m', 'See `tunnels.drop_inactive`.'),
  fixed('tunnels.max', integer(1, 0x10_0000), 16384, 'weft only. Capacity of the tunnel table.'),
  live(
    'timers.connection_alive_interval',
    integer(1, 86400, 'seconds'),
    5,
    'Time between checks of a tunnel. Nebula needs a restart for a change.',
  ),
  live(
    'timers.pending_deletion_interval',
    integer(1, 86400, 'seconds'),
    10,
    'How long a tested tunnel may stay silent. Nebula needs a restart for a change.',
  ),
  live('timers.requery_wait_duration', duration, '60s', 'Least time between two queries for one peer.'),
  live('counters.try_promote', integer(1, U32_MAX), 1000, 'Packets between looks for a better endpoint.'),
  live('counters.requery_every_packets', integer(1, U32_MAX), 5000, 'Packets between new queries for a peer.'),

  live(
    'logging.level',
    choice('trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'panic'),
    'info',
    'Least severity that is printed; fatal and panic mean error.',
  ),
  live('logging.format', choice('text', 'json'), 'text', 'One line per entry: `key=value` words or a JSON object.'),
  live('logging.disable_timestamp', flag, false, 'Leave the time to the reader of the log.'),
  fixed(
    'api.socket',
    text,
    undefined,
    'weft only. Path of the local control socket; empty is off. Default: `/run/weft/<tun.dev>.sock`, or `/run/weft/weft.sock` without `tun.dev`.',
  ),
];
