/** The keys of the control plane: identity, discovery, tunnels' life, and what the operator sees. Rows of `keys.ts`. */
import { allowList, allowRanges, localAllowList } from './allowLists.ts';
import type { CalculatedNetwork, StaticHost } from './config.ts';
import { feeding, fixed, INT_MAX, live, required, U32_MAX } from './keyRows.ts';
import {
  address,
  choice,
  choiceOfAnyCase,
  duration,
  fingerprint,
  flag,
  hostPort,
  integer,
  integerOrDefault,
  listenHost,
  name,
  positiveDuration,
  prefix,
  publicKey,
  seconds,
  secret,
  text,
} from './scalars.ts';
import {
  field,
  firm,
  listOf,
  listOfSound,
  mapOf,
  mapped,
  objectOf,
  oneOrMany,
  type Shape,
  unlessEmpty,
} from './shapes.ts';

const staticHosts: Shape<readonly StaticHost[]> = mapped(mapOf(address, firm(oneOrMany(hostPort))), (entries) =>
  entries.map(([vpnAddress, targets]) => ({ vpnAddress, targets })),
);

const calculatedRemote = objectOf({ mask: field(prefix), port: field(integer(0, 65535)) });

const calculatedNetworks: Shape<readonly CalculatedNetwork[]> = mapped(
  mapOf(prefix, listOf(calculatedRemote)),
  (entries, spot) => {
    const names = spot.node.kind === 'map' ? [...spot.node.entries.keys()] : [];
    let isSound = true;
    const networks = entries.map(([network, remotes], entry) => {
      for (const [index, { mask }] of remotes.entries()) {
        if (mask.address.family !== network.address.family) {
          isSound = false;
          const message = `invalid mask: ${mask.text} for cidr: ${network.text}; both must be IPv4 or both IPv6`;
          spot.error(message, names[entry], index, 'mask');
        }
      }
      return { network, remotes };
    });
    return isSound ? networks : undefined;
  },
);

export const nodeKeys = {
  'pki.ca': required(name, 'CA certificates: a path, or PEM text in place.'),
  'pki.cert': required(
    name,
    "This node's certificate, or its v1 and v2 certificates one after the other: path or PEM.",
  ),
  'pki.key': required(secret, "This node's private key: path or PEM. Never printed."),
  'pki.blocklist': live(
    firm(listOfSound(fingerprint)),
    [],
    'Certificates that are refused, by fingerprint. An entry that is none blocks nothing and is warned about.',
  ),
  'pki.blocklist_keys': live(
    firm(listOf(publicKey)),
    [],
    'Hosts that are refused, by public key: every certificate of the key, also one that is signed later.',
  ),
  'pki.disconnect_invalid': live(firm(flag), true, 'Close a tunnel when its certificate expires or its CA is gone.'),
  'pki.initiating_version': live(
    unlessEmpty(firm(choice('1', '2'))),
    undefined,
    'Certificate version offered first. Default: 1 if there is a v1 certificate, else 2.',
  ),

  static_host_map: live(
    staticHosts,
    {},
    'Underlay endpoints by vpn address. Names are resolved again every `static_map.cadence`.',
  ),
  'static_map.cadence': live(firm(positiveDuration), '30s', 'Time between resolutions of names in `static_host_map`.'),
  'static_map.network': live(
    firm(choice('ip4', 'ip6', 'ip')),
    'ip4',
    'Address families asked for; `ip` asks for both.',
  ),
  'static_map.lookup_timeout': live(firm(positiveDuration), '250ms', 'Time limit of one resolution.'),

  'lighthouse.am_lighthouse': fixed(flag, false, 'This node is a lighthouse. Needs a `listen.port` other than 0.'),
  'lighthouse.hosts': live(
    listOf(firm(address)),
    [],
    'Vpn addresses of the lighthouses; each needs a `static_host_map` entry.',
  ),
  'lighthouse.interval': live(seconds(0, INT_MAX), 10, 'Time between updates to the lighthouses; 0 sends none.'),
  'lighthouse.serve_dns': live(flag, false, 'Answer DNS questions for the names of known hosts (lighthouses only).'),
  'lighthouse.dns.host': live(listenHost, '', 'Address the DNS server listens on; empty means all.'),
  'lighthouse.dns.port': live(integerOrDefault(0, 65535), 53, 'UDP and TCP port of the DNS server.'),
  'lighthouse.remote_allow_list': live(
    firm(allowList),
    undefined,
    'Endpoints of peers that are believed. Default: all.',
  ),
  'lighthouse.remote_allow_ranges': live(
    firm(allowRanges),
    undefined,
    'Further allow lists by the vpn network of the peer; both lists must allow. Default: none.',
  ),
  'lighthouse.local_allow_list': live(
    firm(localAllowList),
    undefined,
    'Own addresses that are told to lighthouses; `interfaces` maps patterns of interface names. Default: all.',
  ),
  'lighthouse.advertise_addrs': live(
    listOf(firm(hostPort)),
    [],
    'Endpoints told to lighthouses first; port 0 is the own port.',
  ),
  'lighthouse.calculated_remotes': live(
    firm(calculatedNetworks),
    undefined,
    'Endpoints computed from vpn addresses: vpn network → list of `mask` and `port`. Default: none.',
  ),
  'lighthouse.max_hosts': fixed(
    firm(integer(1, 0x100_0000)),
    131072,
    'weft only. Capacity of the table of known hosts.',
  ),
  preferred_ranges: live(listOfSound(prefix), [], 'Underlay networks whose endpoints are tried first.'),
  local_range: feeding(
    live(prefix, undefined, 'Old name of `preferred_ranges` with one network; still read, with a warning.'),
  ),

  'punchy.punch': live(flag, false, 'Keep NAT mappings open with one-byte datagrams.'),
  'punchy.respond': live(flag, false, 'Answer a punch with a packet of our own, for NATs that one side cannot open.'),
  'punchy.delay': live(duration, '1s', 'Wait before a punch that a lighthouse asked for.'),
  'punchy.respond_delay': live(duration, '5s', 'Wait before the answer of `punchy.respond`.'),
  'punchy.target_all_remotes': live(flag, false, 'Punch every known endpoint of a peer, not only the current one.'),

  'handshakes.try_interval': fixed(positiveDuration, '100ms', 'Attempt n follows n times this after the one before.'),
  'handshakes.retries': fixed(integer(1, 1000), 10, 'Attempts before a handshake is given up.'),
  'handshakes.query_buffer': fixed(integer(1, 65536), 64, 'Queries waiting to be sent to lighthouses.'),
  'tunnels.drop_inactive': live(flag, false, 'Close tunnels that carried nothing for `tunnels.inactivity_timeout`.'),
  'tunnels.inactivity_timeout': live(positiveDuration, '10m', 'See `tunnels.drop_inactive`.'),
  'tunnels.max': fixed(
    firm(integer(1, 0x10_0000)),
    16384,
    'weft only. Capacity of the tunnel table. A full one answers no new handshake (`tunnels.table_full`).',
  ),
  'timers.connection_alive_interval': live(
    seconds(1, 86400),
    5,
    'Time between checks of a tunnel. Nebula needs a restart for a change.',
  ),
  'timers.pending_deletion_interval': live(
    seconds(1, 86400),
    10,
    'How long a tested tunnel may stay silent. Nebula needs a restart for a change.',
  ),
  'timers.requery_wait_duration': live(duration, '60s', 'Least time between two queries for one peer.'),
  'counters.try_promote': live(integerOrDefault(1, U32_MAX), 1000, 'Packets between looks for a better endpoint.'),
  'counters.requery_every_packets': live(integerOrDefault(1, U32_MAX), 5000, 'Packets between new queries for a peer.'),

  'logging.level': live(
    firm(choiceOfAnyCase('trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'panic')),
    'info',
    'Least severity that is printed; fatal and panic mean error.',
  ),
  'logging.format': live(
    firm(choiceOfAnyCase('text', 'json')),
    'text',
    'One line per entry: `key=value` words or a JSON object.',
  ),
  'logging.disable_timestamp': live(flag, false, 'Leave the time to the reader of the log.'),
  'api.socket': fixed(
    firm(text),
    undefined,
    'weft only. Path of the local control socket; empty is off. Default: `/run/weft/<device>.sock` by the name that the device has, `/run/weft/weft.sock` without a device.',
  ),
};
