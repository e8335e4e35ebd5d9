/**
 * Reads allow lists: networks, verdicts, patterns of interface names; and for each family the default that follows from
 * its rules (Nebula protocol: allow lists). Spellings have been validated; what does not parse is left out here.
 */
import { addressFromBytes, type Family, type Prefix, prefixOf } from '../ip/address.ts';
import type { AllowRange, AllowRule, AllowRules } from '../ip/allowRules.ts';
import type { InterfaceRule, LocalAllowRules } from './config.ts';
import { isMap, type Plain } from './plain.ts';
import { parsePattern, parsePermission, parsePrefixValue } from './scalars.ts';

/** Entries of a map in the order of the file; null when the key is absent. */
type Entries = readonly (readonly [string, Plain])[] | null;

/** A list with its defaults; an absent one has no rules and so allows everything. */
export function readAllowRules(entries: Entries): AllowRules {
  const rules = (entries ?? []).flatMap(([text, value]): AllowRule[] => {
    const network = parsePrefixValue(text);
    const isAllowed = parsePermission(value);
    return network === null || isAllowed === null ? [] : [{ network, isAllowed }];
  });
  return [...rules, ...FAMILIES.flatMap((family) => defaultRule(rules, family))];
}

/** Lists by vpn network. */
export function readAllowRanges(entries: Entries): readonly AllowRange[] {
  return (entries ?? []).flatMap(([text, rules]) => {
    const network = parsePrefixValue(text);
    return network === null ? [] : [{ network, rules: readAllowRules(entriesOf(rules)) }];
  });
}

/** The list of own addresses, in which `interfaces` holds patterns. */
export function readLocalAllowRules(entries: Entries): LocalAllowRules {
  const patterns = (entries ?? []).filter(([key]) => key === INTERFACES).flatMap(([, value]) => entriesOf(value));
  return {
    addresses: readAllowRules((entries ?? []).filter(([key]) => key !== INTERFACES)),
    interfaces: patterns.flatMap(([text, value]): InterfaceRule[] => {
      const pattern = parsePattern(text);
      const isAllowed = parsePermission(value);
      return pattern === null || isAllowed === null ? [] : [{ pattern, isAllowed }];
    }),
  };
}

/** The networks for which a list needs a rule: those of a family that both allows and refuses. */
export function missingDefaults(rules: AllowRules): readonly Prefix[] {
  return FAMILIES.filter((family) => verdictsOf(rules, family).size > 1 && !hasDefault(rules, family)).map(everything);
}

const INTERFACES = 'interfaces';
const FAMILIES: readonly Family[] = [4, 6];

/** Rules that all say the same leave the inverse to everything else; a family without rules is allowed. */
function defaultRule(rules: AllowRules, family: Family): AllowRule[] {
  const [verdict, other] = verdictsOf(rules, family);
  const isClear = verdict !== undefined && other === undefined && !hasDefault(rules, family);
  return isClear ? [{ network: everything(family), isAllowed: !verdict }] : [];
}

function verdictsOf(rules: AllowRules, family: Family): ReadonlySet<boolean> {
  return new Set(rules.flatMap((rule) => (rule.network.address.family === family ? [rule.isAllowed] : [])));
}

function hasDefault(rules: AllowRules, family: Family): boolean {
  return rules.some(({ network }) => network.address.family === family && network.bits === 0);
}

/** `0.0.0.0/0` or `::/0`. */
function everything(family: Family): Prefix {
  return prefixOf(addressFromBytes(new Uint8Array(family === 4 ? 4 : 16)), 0);
}

function entriesOf(value: Plain): readonly (readonly [string, Plain])[] {
  return isMap(value) ? Object.entries(value) : [];
}
