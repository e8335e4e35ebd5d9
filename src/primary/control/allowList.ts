/**
 * Allow lists: which underlay addresses this node believes (`lighthouse.remote_allow_list`,
 * `lighthouse.remote_allow_ranges`) and which of its own it tells others (`lighthouse.local_allow_list`).
 *
 * A list maps prefixes to true or false, the most specific prefix wins (Nebula protocol: allow lists). Lists are
 * compiled once per configuration and never change; a reload compiles new ones. Nothing here runs per packet: the data
 * path punts a peer that roamed, and the control plane asks here.
 */
import { type Family, type IpAddress, type Prefix, parsePrefix } from '../../shared/ip/address.ts';
import type { FlatRules, RemoteAllowRules } from '../../shared/ip/allowRules.ts';
import { PrefixTable } from '../../shared/ip/prefixTable.ts';

/** A mistake in the configuration: the message names the key, the value and what would be right. */
export class AllowListError extends Error {
  override readonly name: string = 'AllowListError';
}

/** Rules as they stand in the configuration: prefix → boolean, or a word that YAML leaves as text (`yes`, `n`). */
export type RawRules = Readonly<Record<string, unknown>>;

export class AllowList {
  /** The list of an absent key. */
  static readonly all: AllowList = new AllowList(new PrefixTable(), { 4: true, 6: true });
  readonly #rules: PrefixTable<boolean>;
  readonly #default: Readonly<Record<Family, boolean>>;
  readonly #flat: FlatRules;

  private constructor(rules: PrefixTable<boolean>, defaults: Readonly<Record<Family, boolean>>, flat: FlatRules = []) {
    this.#rules = rules;
    this.#default = defaults;
    this.#flat = flat;
  }

  /** Compiles the rules found under `key`; throws `AllowListError`. Undefined or null rules allow everything. */
  static compile(key: string, rules: RawRules | null | undefined): AllowList {
    if (rules === null || rules === undefined) {
      return AllowList.all;
    }
    const table = new PrefixTable<boolean>();
    const flat: [string, boolean][] = [];
    const families: Record<Family, FamilyRules> = { 4: new FamilyRules(), 6: new FamilyRules() };
    for (const [text, raw] of Object.entries(rules)) {
      const prefix = readPrefix(key, text);
      const value = readBoolean(key, text, raw);
      table.set(prefix, value);
      if (prefix.bits > 0) {
        flat.push([prefix.text, value]);
      }
      families[prefix.address.family].add(prefix, value);
    }
    const defaults = {
      4: families[4].defaultValue(key, '0.0.0.0/0'),
      6: families[6].defaultValue(key, '::/0'),
    };
    return new AllowList(table, defaults, flat);
  }

  /** The rules as plain data, with the defaults written out: what workers get. */
  flatten(): FlatRules {
    return [...this.#flat, ['0.0.0.0/0', this.#default[4]], ['::/0', this.#default[6]]];
  }

  allows(address: IpAddress): boolean {
    return this.#rules.lookup(address) ?? this.#default[address.family];
  }
}

/** What this node accepts as a peer's endpoint: the global list, and the list of the range the peer's address is in. */
export class RemoteAllowList {
  static readonly all: RemoteAllowList = new RemoteAllowList(AllowList.all, []);
  readonly #global: AllowList;
  readonly #ranges: PrefixTable<AllowList> = new PrefixTable();
  readonly #rangeList: readonly (readonly [Prefix, AllowList])[];

  private constructor(global: AllowList, ranges: readonly (readonly [Prefix, AllowList])[]) {
    this.#global = global;
    this.#rangeList = ranges;
    for (const [network, list] of ranges) {
      this.#ranges.set(network, list);
    }
  }

  /**
   * Compiles `lighthouse.remote_allow_list` and `lighthouse.remote_allow_ranges` (vpn prefix → list); throws
   * `AllowListError`.
   */
  static compile(
    rules: RawRules | null | undefined,
    ranges: Readonly<Record<string, unknown>> | null | undefined,
  ): RemoteAllowList {
    const lists: [Prefix, AllowList][] = [];
    for (const [text, inner] of Object.entries(ranges ?? {})) {
      const prefix = readPrefix(RANGES_KEY, text);
      if (!isRecord(inner)) {
        throw new AllowListError(
          `config \`${RANGES_KEY}\` entry ${text} must be a map of CIDR to true or false, not ${kindOf(inner)}`,
        );
      }
      lists.push([prefix, AllowList.compile(`${RANGES_KEY}.${text}`, inner)]);
    }
    return new RemoteAllowList(AllowList.compile('lighthouse.remote_allow_list', rules), lists);
  }

  /** Both lists as plain data: what workers get. */
  flatten(): RemoteAllowRules {
    return {
      remoteAllowList: this.#global.flatten(),
      remoteAllowRanges: this.#rangeList.map(([network, list]) => [network.text, list.flatten()]),
    };
  }

  /** Before the peer is known (the first handshake message): the global list alone. */
  allowsUnknown(underlay: IpAddress): boolean {
    return this.#global.allows(underlay);
  }

  /** Whether `underlay` may be an endpoint of the peer with this vpn address. */
  allows(vpnAddress: IpAddress, underlay: IpAddress): boolean {
    return this.#global.allows(underlay) && (this.#ranges.lookup(vpnAddress)?.allows(underlay) ?? true);
  }

  /** Whether `underlay` may be an endpoint of a peer that has all of these vpn addresses. */
  allowsAll(vpnAddresses: readonly IpAddress[], underlay: IpAddress): boolean {
    return (
      this.#global.allows(underlay) &&
      vpnAddresses.every((address) => this.#ranges.lookup(address)?.allows(underlay) ?? true)
    );
  }
}

/** What this node tells about itself: by address and by the interface that has the address. */
export class LocalAllowList {
  static readonly all: LocalAllowList = new LocalAllowList(AllowList.all, [], true);
  readonly #addresses: AllowList;
  readonly #names: readonly RegExp[];
  /** What an interface gets that no pattern matches; those that match get the inverse. */
  readonly #unmatched: boolean;

  private constructor(addresses: AllowList, names: readonly RegExp[], unmatched: boolean) {
    this.#addresses = addresses;
    this.#names = names;
    this.#unmatched = unmatched;
  }

  /** Compiles `lighthouse.local_allow_list`, whose key `interfaces` holds patterns; throws `AllowListError`. */
  static compile(rules: RawRules | null | undefined): LocalAllowList {
    if (rules === null || rules === undefined) {
      return LocalAllowList.all;
    }
    const { interfaces, ...addresses } = rules;
    // An explicit `interfaces` and nothing else leaves every address allowed: a family without rules allows.
    const list = AllowList.compile(LOCAL_KEY, addresses);
    if (interfaces === undefined || interfaces === null) {
      return new LocalAllowList(list, [], true);
    }
    if (!isRecord(interfaces)) {
      throw new AllowListError(
        `config \`${LOCAL_KEY}.interfaces\` must be a map of interface patterns to true or false, not ${kindOf(interfaces)}`,
      );
    }
    const entries = Object.entries(interfaces).map(([pattern, raw]) => ({
      pattern: readPattern(pattern),
      value: readBoolean(`${LOCAL_KEY}.interfaces`, pattern, raw),
    }));
    if (entries.some((entry) => entry.value !== entries[0].value)) {
      throw new AllowListError(
        `config \`${LOCAL_KEY}.interfaces\` values must all be the same true/false value: ` +
          'list either the interfaces to use or the ones to leave out',
      );
    }
    const unmatched = entries.length === 0 || !entries[0].value;
    return new LocalAllowList(
      list,
      entries.map((entry) => entry.pattern),
      unmatched,
    );
  }

  allows(address: IpAddress): boolean {
    return this.#addresses.allows(address);
  }

  allowsInterface(name: string): boolean {
    return this.#names.some((pattern) => pattern.test(name)) !== this.#unmatched;
  }
}

/** The rules of one family, to find what holds for an address that no rule names. */
class FamilyRules {
  #values: Set<boolean> = new Set();
  #zero: boolean | null = null;

  add(prefix: Prefix, value: boolean): void {
    this.#values.add(value);
    if (prefix.bits === 0) {
      this.#zero = value;
    }
  }

  defaultValue(key: string, everything: string): boolean {
    if (this.#zero !== null) {
      return this.#zero;
    }
    if (this.#values.size === 2) {
      throw new AllowListError(
        `config \`${key}\` contains both true and false rules, but no default set for ${everything}: ` +
          `add \`${everything}: true\` or \`${everything}: false\``,
      );
    }
    return !this.#values.has(true);
  }
}

function readPrefix(key: string, text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === null) {
    throw new AllowListError(`config \`${key}\` has invalid CIDR: ${text}: write address/bits, for example 10.0.0.0/8`);
  }
  return prefix;
}

function readBoolean(key: string, place: string, raw: unknown): boolean {
  if (typeof raw === 'boolean') {
    return raw;
  }
  const value = typeof raw === 'string' ? WORDS.get(raw.toLowerCase()) : undefined;
  if (value === undefined) {
    throw new AllowListError(
      `config \`${key}\` has invalid value (type ${kindOf(raw)}): ${String(raw)}: ${place} needs true or false`,
    );
  }
  return value;
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`);
  } catch {
    throw new AllowListError(
      `config \`${LOCAL_KEY}.interfaces\` has invalid pattern: ${text}: write a regular expression such as eth.*`,
    );
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
}

const RANGES_KEY = 'lighthouse.remote_allow_ranges';
const LOCAL_KEY = 'lighthouse.local_allow_list';
/** Spellings of YAML 1.1 that a YAML 1.2 reader leaves as text (Nebula protocol: config getters). */
const WORDS: ReadonlyMap<string, boolean> = new Map([
  ['y', true],
  ['yes', true],
  ['n', false],
  ['no', false],
]);
