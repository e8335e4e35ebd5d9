/**
 * Keys that Nebula knows and weft does not act on, and what is said to a file that asks for them: one clear warning per
 * feature, with what happens instead. A key that only says what weft does anyway (`sshd.enabled: false`) is passed over
 * in silence. Rows of `keys.ts`; whoever builds a feature moves its keys from here to a table of their own.
 */
import { fixed, INT_MAX, type Key } from './keyRows.ts';
import { isList, isMap, lookup, type Plain, type PlainMap } from './plain.ts';
import { address, byteCount, choice, flag, integer, parseFlag, secret, text } from './scalars.ts';
import { any, listOf, listOfSound, type Shape } from './shapes.ts';

export interface UnsupportedFeature {
  /** A key, or the section of several. */
  readonly path: string;
  /** What happens instead, as the end of the warning. */
  readonly consequence: string;
  readonly isAsked: (value: Plain, all: PlainMap) => boolean;
  readonly keys: readonly Key[];
  /** Nebula ignores it on this system too. */
  readonly isForeign?: boolean;
}

const NOT_YET = 'weft does not support this yet';
const isTrue = (value: Plain): boolean => parseFlag(value) === true;
const isGiven = (value: Plain): boolean => value !== '';
const isFilled = (value: Plain): boolean => isList(value) && value.length > 0;

export const UNSUPPORTED_FEATURES: readonly UnsupportedFeature[] = [
  {
    path: 'sshd',
    consequence: `${NOT_YET}: there is no ssh console; use the local control socket`,
    isAsked: (value) => isMap(value) && isTrue(value.enabled ?? false),
    keys: [
      notYet('sshd.enabled', flag, false),
      notYet('sshd.listen', text, undefined),
      notYet('sshd.host_key', secret, undefined),
      notYet('sshd.authorized_users', listOf(any), []),
      notYet('sshd.trusted_cas', listOf(text), []),
      notYet('sshd.sandbox_dir', text, undefined),
    ],
  },
  alone(notYet('relay.am_relay', flag, false), `${NOT_YET}: this node relays for nobody`, isTrue),
  alone(notYet('relay.use_relays', flag, true), `${NOT_YET}: peers are reached directly or not at all`, isTrue),
  alone(notYet('relay.relays', listOfSound(address), []), `${NOT_YET}: no relay is told to peers or used`, isFilled),
  alone(
    notYet('tun.use_system_route_table', flag, false),
    `${NOT_YET}: routes of the kernel are not followed; list them in tun.unsafe_routes`,
    isTrue,
  ),
  alone(
    notYet('tun.use_system_route_table_buffer_size', byteCount(INT_MAX), 0),
    `${NOT_YET}: the value has no effect`,
    (_value, all) => !isTrue(lookup(all, 'tun.use_system_route_table') ?? false),
  ),
  alone(
    notYet('tun.pin_threads', flag, undefined),
    `${NOT_YET}: workers run on the CPU that the kernel chooses`,
    isTrue,
  ),
  alone(
    notYet('tun.pin_threads_key', choice('', 'pid', 'port'), ''),
    `${NOT_YET}: the value has no effect`,
    (value) => value !== '',
  ),
  alone(
    notYet('tun.cpu_affinity', listOf(integer(0, 65535)), undefined),
    `${NOT_YET}: workers run on the CPU that the kernel chooses`,
    isFilled,
  ),
  alone(
    ignored(
      'handshakes.trigger_buffer',
      integer(1, 65536),
      64,
      'Ignored: an attempt that need not wait is made at once.',
    ),
    'has no effect: a handshake attempt that need not wait is made at once',
    isGiven,
  ),
  {
    ...alone(
      ignored('logging.timestamp_format', text, undefined, 'Ignored, as by Nebula since 1.11: times are RFC 3339.'),
      'is ignored, as by Nebula since 1.11: times are printed as RFC 3339',
      isGiven,
    ),
    isForeign: true,
  },
  foreign('tun.network_category', text, undefined, 'Windows'),
  foreign('tun.windows_bypass_wdf', flag, true, 'Windows'),
  foreign('listen.windows_bypass_wdf', flag, true, 'Windows'),
  foreign('listen.rebind_on_network_change', flag, true, 'macOS'),
];

export const unsupportedKeys: readonly Key[] = UNSUPPORTED_FEATURES.flatMap((feature) => feature.keys);

function alone(key: Key, consequence: string, isAsked: UnsupportedFeature['isAsked']): UnsupportedFeature {
  return { path: key.path, consequence, isAsked, keys: [key] };
}

/** A key that only has a meaning on another system. */
function foreign(path: string, shape: Shape<unknown>, fallback: Plain | undefined, system: string): UnsupportedFeature {
  const key = ignored(path, shape, fallback, `Only on ${system}; ignored.`);
  return { ...alone(key, `only matters on ${system} and is ignored`, isGiven), isForeign: true };
}

function notYet(path: string, shape: Shape<unknown>, fallback: Plain | undefined): Key {
  return ignored(path, shape, fallback, 'Not supported yet.');
}

function ignored(path: string, shape: Shape<unknown>, fallback: Plain | undefined, note: string): Key {
  return { path, ...fixed(shape, fallback, note), hasField: false };
}
