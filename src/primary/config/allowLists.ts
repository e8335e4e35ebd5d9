/**
 * The shapes of allow lists: networks, verdicts, patterns of interface names; and for each family the default that
 * follows from its rules (Nebula protocol: allow lists).
 */
import { addressFromBytes, type Family, type Prefix, prefixOf } from '../../shared/ip/address.ts';
import type { AllowRange, AllowRule, AllowRules } from '../../shared/ip/allowRules.ts';
import type { LocalAllowRules } from './config.ts';
import { pattern, permission, prefix } from './scalars.ts';
import { mapOf, mapped, type Shape } from './shapes.ts';

/** A list with its defaults written out. */
export const allowList: Shape<AllowRules> = mapped(mapOf(prefix, permission), (entries, spot) => {
  const rules = entries.map(([network, isAllowed]): AllowRule => ({ network, isAllowed }));
  const unclear = FAMILIES.filter((family) => !hasDefault(rules, family) && verdictsOf(rules, family).size > 1);
  for (const family of unclear) {
    spot.error(`contains both true and false rules, but no default set for ${everything(family).text}`);
  }
  return unclear.length > 0 ? undefined : [...rules, ...FAMILIES.flatMap((family) => defaultRule(rules, family))];
});

/** Lists by vpn network. */
export const allowRanges: Shape<readonly AllowRange[]> = mapped(mapOf(prefix, allowList), (entries) =>
  entries.map(([network, rules]) => ({ network, rules })),
);

const interfaceRules: Shape<LocalAllowRules['interfaces']> = mapped(mapOf(pattern, permission), (entries, spot) => {
  if (entries.some(([, isAllowed]) => isAllowed !== entries[0][1])) {
    spot.error('all values must be true or all must be false: interfaces that match none get the inverse');
    return undefined;
  }
  return entries.map(([name, isAllowed]) => ({ pattern: name, isAllowed }));
});

/** The list of own addresses, in which `interfaces` holds patterns. */
export const localAllowList: Shape<LocalAllowRules> = {
  ...allowList,
  schema: { ...allowList.schema, properties: { interfaces: interfaceRules.schema } },
  read: (spot) => {
    const { node } = spot;
    const patterns = node.kind === 'map' ? node.entries.get(INTERFACES) : undefined;
    if (node.kind !== 'map' || patterns === undefined) {
      const addresses = allowList.read(spot);
      return addresses === undefined ? undefined : { addresses, interfaces: [] };
    }
    const others = new Map([...node.entries].filter(([key]) => key !== INTERFACES));
    const addresses = allowList.read(spot.with({ ...node, entries: others }));
    const interfaces = interfaceRules.read(spot.child(INTERFACES, patterns));
    return addresses === undefined || interfaces === undefined ? undefined : { addresses, interfaces };
  },
};

const INTERFACES = 'interfaces';
const FAMILIES: readonly Family[] = [4, 6];

/** Rules that all say the same leave the inverse to everything else; a family without rules is allowed. */
function defaultRule(rules: AllowRules, family: Family): AllowRule[] {
  const [verdict] = verdictsOf(rules, family);
  return verdict === undefined || hasDefault(rules, family)
    ? []
    : [{ network: everything(family), isAllowed: !verdict }];
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
