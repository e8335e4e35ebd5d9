/**
 * Reads `firewall.inbound` and `firewall.outbound` into rules, and reports every problem and warning at once.
 *
 * Accepts what Nebula accepts and says so with Nebula's texts. Values are turned into text first, as Nebula does, so
 * `port: 443` and `port: "443"` are one. Pure: the caller gives findings their place, logs and decides.
 */

import { anyPort, type PortRange, type Rule, RuleProto, ruleListPath, ruleName } from '../../shared/firewall/rule.ts';
import { type Prefix, parseAddress, parsePrefix } from '../../shared/ip/address.ts';
import { parsePortRange } from './portRange.ts';

/** What there is to say about one rule of a list. */
export interface RuleFinding {
  /** Position of the rule, from 0; null when it is the list that is wrong. */
  readonly index: number | null;
  /** The field of the rule that it is about; null when it is the rule as a whole. */
  readonly key: string | null;
  readonly message: string;
}

/** What reading one list gave. The rules are usable only when there are no problems. */
export interface ParsedRules {
  readonly rules: readonly Rule[];
  readonly problems: readonly RuleFinding[];
  readonly warnings: readonly RuleFinding[];
}

/** Parses the rules of one direction; `raw` is the value under the key, undefined or null when there is none. */
export function parseRules(raw: unknown, incoming: boolean): ParsedRules {
  if (raw === undefined || raw === null) {
    return { rules: [], problems: [], warnings: [] };
  }
  if (!Array.isArray(raw)) {
    const message = 'failed to parse, should be an array of rules';
    return { rules: [], problems: [{ index: null, key: null, message }], warnings: [] };
  }
  const rules: Rule[] = [];
  const problems: RuleFinding[] = [];
  const warnings: RuleFinding[] = [];
  for (const [index, item] of raw.entries()) {
    const reader = new RuleReader(item, incoming, index);
    const rule = reader.read();
    problems.push(...reader.problems);
    warnings.push(...reader.warnings);
    if (rule !== null) {
      rules.push(rule);
    }
  }
  return { rules, problems, warnings };
}

/** A finding where it has no place of its own: `firewall.inbound rule #0; …`. */
export function findingText({ index, message }: RuleFinding, incoming: boolean): string {
  return index === null ? `${ruleListPath(incoming)} ${message}` : `${ruleName(incoming, index)}; ${message}`;
}

class RuleReader {
  readonly problems: RuleFinding[] = [];
  readonly warnings: RuleFinding[] = [];
  readonly #map: Readonly<Record<string, unknown>>;
  readonly #isMap: boolean;
  readonly #incoming: boolean;
  readonly #index: number;

  constructor(item: unknown, incoming: boolean, index: number) {
    this.#isMap = isMap(item);
    this.#map = isMap(item) ? item : {};
    this.#incoming = incoming;
    this.#index = index;
  }

  /** null when there is a problem. */
  read(): Rule | null {
    if (!this.#isMap) {
      this.#refuse(null, 'could not parse rule');
      return null;
    }
    const groups = this.#groups();
    const host = this.#text('host');
    const cidrText = this.#text('cidr');
    const localCidrText = this.#text('local_cidr');
    const caName = this.#text('ca_name');
    const caSha = this.#text('ca_sha');
    const given = [host, cidrText, localCidrText, caName, caSha];
    const code = this.#text('code');
    const port = this.#text('port');
    if (code !== '' && port !== '') {
      this.#refuse('code', `only one of port or code should be provided; \`${port}\` and \`${code}\``);
    }
    if (groups.length === 0 && given.every((text) => text === '')) {
      this.#refuse(null, 'at least one of host, group, cidr, local_cidr, ca_name, or ca_sha must be provided');
    }
    const proto = this.#proto();
    const ports = proto === null ? anyPort : this.#ports(proto, code, port);
    const cidr = this.#prefix('cidr', cidrText);
    const localCidr = this.#prefix('local_cidr', localCidrText);
    this.#warnAboutKeys();
    if (this.problems.length > 0 || proto === null) {
      return null;
    }
    const rule: Rule = {
      incoming: this.#incoming,
      index: this.#index,
      proto,
      ports,
      groups,
      host: orNull(host),
      cidr,
      localCidr,
      caName: orNull(caName),
      caSha: orNull(caSha),
      text: ruleText(this.#map),
    };
    this.#warnAboutSelectors(rule, code);
    return rule;
  }

  #refuse(key: string | null, message: string): void {
    this.problems.push({ index: this.#index, key, message });
  }

  #warn(key: string | null, message: string): void {
    this.warnings.push({ index: this.#index, key, message });
  }

  #proto(): RuleProto | null {
    const text = this.#text('proto');
    switch (text) {
      case 'any':
        return RuleProto.Any;
      case 'tcp':
        return RuleProto.Tcp;
      case 'udp':
        return RuleProto.Udp;
      case 'icmp':
        return RuleProto.Icmp;
      default:
        this.#refuse('proto', `proto was not understood; \`${text}\`, expected any, tcp, udp or icmp`);
        return null;
    }
  }

  #ports(proto: RuleProto, code: string, port: string): PortRange {
    const key = code === '' ? 'port' : 'code';
    const text = code === '' ? port : code;
    if (proto === RuleProto.Icmp) {
      if (text !== '' && text !== 'any') {
        this.#warn(key, `ignoring port specification for ICMP firewall rule; \`${text}\``);
      }
      return anyPort;
    }
    const range = parsePortRange(text);
    if (typeof range === 'string') {
      this.#refuse(key, `${key} ${range}, expected any, fragment, a number or a range such as 8000-8080`);
      return anyPort;
    }
    if (range.start > range.end) {
      this.#refuse(key, `\`start port was lower than end port\`; \`${text}\``);
    }
    return range;
  }

  #prefix(key: string, text: string): Prefix | 'any' | null {
    if (text === '') {
      return null;
    }
    if (text === 'any') {
      return 'any';
    }
    const prefix = parsePrefix(text);
    if (prefix === null) {
      this.#refuse(key, `${key} did not parse; \`${text}\` is not an address prefix such as 10.0.0.0/8 or fd00::/8`);
    }
    return prefix;
  }

  #groups(): readonly string[] {
    const { group, groups } = this.#map;
    let single = this.#text('group');
    if (Array.isArray(group)) {
      if (group.length !== 1) {
        const message = 'group should contain a single value, an array with more than one entry was provided';
        this.#refuse('group', `${message}; \`${goText(group)}\`, write groups`);
        return [];
      }
      this.#warn('group', 'group was an array with a single value, converting to simple value');
      single = goText(group[0]);
    }
    const list = groups === undefined ? [] : Array.isArray(groups) ? groups.map(goText) : [goText(groups)];
    if (single === '') {
      return list;
    }
    if (list.length > 0) {
      const message = 'only one of group or groups should be defined, both provided';
      this.#refuse('groups', `${message}; \`${single}\` and \`${list.join(' ')}\``);
    }
    return [single];
  }

  #text(key: string): string {
    const value = this.#map[key];
    return value === undefined ? '' : goText(value);
  }

  /** Nebula ignores keys it does not know and reads an empty value as the text `<nil>`; both are surely mistakes. */
  #warnAboutKeys(): void {
    for (const [key, value] of Object.entries(this.#map)) {
      if (!RULE_KEYS.includes(key)) {
        this.#warn(key, `unknown key \`${key}\` is ignored`);
      } else if (value === null) {
        this.#warn(key, `${key} has no value, it is read as the text \`<nil>\``);
      }
    }
  }

  #warnAboutSelectors(rule: Rule, code: string): void {
    const groups = `[${rule.groups.join(' ')}]`;
    const isAnyGroup = rule.groups.includes('any');
    const warn = (text: string): void => this.#warn(null, `firewall rule sanity check; ${text}`);
    const listed = rule.groups.find((group) => /[,\s]/.test(group.trim()));
    if (listed !== undefined) {
      const words = listed.split(/[,\s]+/).filter((word) => word !== '');
      this.#warn(
        this.#map.groups === undefined ? 'group' : 'groups',
        `\`${listed}\` is the name of one group; for several write groups: [${words.join(', ')}]`,
      );
    }
    if (rule.host !== null && (parseAddress(rule.host) ?? parsePrefix(rule.host)) !== null) {
      this.#warn(
        'host',
        `host is the name in a certificate, and no name is \`${rule.host}\`; for an address write cidr`,
      );
    }
    if (isAnyGroup && rule.groups.length > 1) {
      warn(`groups ${groups} contains any, so the other groups do not matter`);
    }
    if (rule.host === 'any' && rule.groups.length > 0) {
      warn(`host is any, so groups ${groups} do not matter`);
    }
    if (isAnyGroup && rule.host !== null && rule.host !== 'any') {
      warn(`groups ${groups} contains any, so host ${rule.host} does not matter`);
    }
    if ((isAnyGroup || rule.host === 'any') && rule.cidr !== null && rule.cidr !== 'any') {
      warn(`${isAnyGroup ? 'group' : 'host'} is any, so cidr ${rule.cidr.text} does not matter`);
    }
    if (
      rule.cidr === 'any' &&
      ((rule.groups.length > 0 && !isAnyGroup) || (rule.host !== null && rule.host !== 'any'))
    ) {
      warn('cidr is any, so groups and host do not matter');
    }
    if (rule.caName !== null && rule.caSha !== null) {
      warn('with both ca_name and ca_sha, either of them suffices');
    }
    if (code !== '') {
      warn(`code [${code}] is taken as the port; it never was an ICMP code and will not be supported for ever`);
    }
  }
}

const RULE_KEYS: readonly string[] = [
  'port',
  'code',
  'proto',
  'host',
  'group',
  'groups',
  'cidr',
  'local_cidr',
  'ca_name',
  'ca_sha',
];

function ruleText(map: Readonly<Record<string, unknown>>): string {
  const parts: string[] = [];
  for (const key of RULE_KEYS) {
    const value = map[key];
    if (value !== undefined) {
      parts.push(`${key}: ${Array.isArray(value) ? `[${value.map(goText).join(', ')}]` : goText(value)}`);
    }
  }
  return parts.join(', ');
}

/** A value as Go prints it, which is what Nebula compares: lists as `[a b]`, maps as `map[a:1]`, null as `<nil>`. */
function goText(value: unknown): string {
  if (value === null || value === undefined) {
    return '<nil>';
  }
  if (Array.isArray(value)) {
    return `[${value.map(goText).join(' ')}]`;
  }
  if (isMap(value)) {
    const entries = Object.entries(value).map(([key, item]) => `${key}:${goText(item)}`);
    return `map[${entries.join(' ')}]`;
  }
  return String(value);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
