/**
 * Allow lists as values, read once with the configuration: the control plane and a lighthouse's workers each compile
 * what they ask per address from them. Plain data: a structured clone is an allow list too.
 */
import type { Prefix } from './address.ts';

export interface AllowRule {
  readonly network: Prefix;
  readonly isAllowed: boolean;
}

/**
 * The most specific network that contains an address decides, of equal ones the last; an address that none contains is
 * allowed. Defaults are written out, so nobody has to derive them.
 */
export type AllowRules = readonly AllowRule[];

/** `lighthouse.remote_allow_list` and `lighthouse.remote_allow_ranges`. */
export interface RemoteAllowRules {
  readonly remoteAllowList: AllowRules;
  /** Lists by the vpn network of the peer; the most specific network's list counts. */
  readonly remoteAllowRanges: readonly AllowRange[];
}

export interface AllowRange {
  readonly network: Prefix;
  readonly rules: AllowRules;
}
