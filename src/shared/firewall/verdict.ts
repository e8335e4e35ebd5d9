/**
 * What the firewall says of a packet: a number that is 0 or more for "pass" and negative for "drop".
 *
 * The data path returns and counts these numbers; the command line and the logs print their names and texts.
 */

export const Verdict = {
  /** A rule let it in, and the flow was added to conntrack. */
  Rule: 0,
  /** The shared conntrack table knows the flow. */
  Conntrack: 1,
  /** The worker's own cache knows the flow. */
  Cache: 2,
  NoRule: -1,
  /** The remote address is in none of the peer's certificate networks. */
  RemoteAddress: -2,
  /** The remote address is the peer's own, but outside every network of this node. */
  PeerAddress: -3,
  /** The local address is neither this node's nor in one of its unsafe networks. */
  LocalAddress: -4,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Reasons as Nebula logs them, and the ways to pass. */
export const verdictTexts: Readonly<Record<Verdict, string>> = {
  [Verdict.Rule]: 'allowed by a firewall rule',
  [Verdict.Conntrack]: 'allowed by the conntrack table',
  [Verdict.Cache]: 'allowed by the routine-local conntrack cache',
  [Verdict.NoRule]: 'no matching rule in firewall table',
  [Verdict.RemoteAddress]: 'remote address is not in remote certificate networks',
  [Verdict.PeerAddress]: 'remote address is not within a network that we handle',
  [Verdict.LocalAddress]: 'local address is not in list of handled local addresses',
};
