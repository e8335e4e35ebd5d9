/**
 * What the firewall knows of one tunnel's peer: who it is, and the rules that can match it.
 *
 * Belongs to one certificate and one `OwnIdentity`, as the identity does. The rules are compiled when a packet first
 * asks for them, and again after a reload: cold, once per table.
 */
import type { Certificate } from '../cert/certificate.ts';
import { type OwnIdentity, PeerIdentity } from './identity.ts';
import { PeerRules } from './peerRules.ts';
import type { RuleTable } from './ruleTable.ts';

export class PeerView {
  readonly identity: PeerIdentity;
  readonly own: OwnIdentity;
  #rules: PeerRules | null = null;
  #table: RuleTable | null = null;

  constructor(certificate: Certificate, own: OwnIdentity) {
    this.identity = new PeerIdentity(certificate, own);
    this.own = own;
  }

  /** The rules of `table` that can match this peer. */
  rulesOf(table: RuleTable): PeerRules {
    if (this.#rules === null || this.#table !== table) {
      this.#rules = new PeerRules(table, this.identity, this.own);
      this.#table = table;
    }
    return this.#rules;
  }
}
