/** What a node goes by at this moment; a reload replaces it, so it is read at every use and never kept. */
import type { Config } from './config/config.ts';
import type { Identity } from './pki/identity.ts';

export class InForce {
  config: Config;
  identity: Identity;
  /** Workers make their flows and verdicts again when it changes. */
  rulesVersion: number = 1;

  constructor(config: Config, identity: Identity) {
    this.config = config;
    this.identity = identity;
  }
}
