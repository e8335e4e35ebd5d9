/**
 * Allow lists as plain data: what the primary compiles from the configuration and sends to its workers.
 */

/** An allow list with its defaults written out: prefix and verdict, `0.0.0.0/0` and `::/0` among them. */
export type FlatRules = readonly (readonly [prefix: string, isAllowed: boolean])[];

/** `lighthouse.remote_allow_list` and `lighthouse.remote_allow_ranges`. */
export interface RemoteAllowRules {
  readonly remoteAllowList: FlatRules;
  /** Lists by the vpn network of the peer; the most specific network's list counts. */
  readonly remoteAllowRanges: readonly (readonly [network: string, rules: FlatRules])[];
}
