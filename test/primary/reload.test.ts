import { assert, expect } from 'chai';
import { describe, it } from 'mocha';
import type { Config } from '../../src/primary/config/config.ts';
import { BrokenInvariant, invariant } from '../../src/primary/control/invariant.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { applyReload, type Reloaded, type ReloadTargets } from '../../src/primary/reload.ts';
import { createLogger } from '../../src/shared/log/logger.ts';
import { type IssueOptions, TestAuthority } from '../support/testAuthority.ts';
import { configOf } from './config/support.ts';

const authority = new TestAuthority(78);
const NETWORKS = ['10.42.0.1/24', 'fd42::1/64'];

function identity(issue: IssueOptions = {}, networks: readonly string[] = NETWORKS): Identity {
  return authority.identity('host', networks, issue);
}

interface Told extends Reloaded {
  /** What was applied, in order. */
  readonly applied: readonly string[];
  /** The configurations that discovery and control plane were given. */
  readonly given: readonly Config[];
  readonly lines: readonly string[];
}

function reload(
  from: readonly [Config, Identity],
  to: readonly [Config, Identity],
  broken: Partial<ReloadTargets> = {},
): Told {
  const applied: string[] = [];
  const given: Config[] = [];
  const lines: string[] = [];
  const settings = { level: 'info', format: 'text', disableTimestamp: true } as const;
  const log = createLogger({ ...settings, write: (line) => lines.push(line) });
  const targets: ReloadTargets = {
    log,
    applyIdentity: () => applied.push('identity'),
    applyControl: (config) => {
      given.push(config);
      applied.push('control');
    },
    applyDiscovery: (config, { certificates }) => {
      given.push(config);
      applied.push(`discovery ${certificates.length}`);
    },
    applyRules: () => applied.push('rules'),
    applyStats: ({ stats }) => applied.push(`statistics ${stats.type}`),
    applyDevice: (_config, { networks }) => applied.push(`device ${networks.map(({ text }) => text).join(' ')}`),
    ...broken,
  };
  return { ...applyReload(from[0], to[0], from[1], to[1], targets), applied, given, lines };
}

describe('a reload', () => {
  it('applies the statistics as a whole when any of their keys has changed', () => {
    const served = 'stats: {type: prometheus, interval: 10s, listen: "127.0.0.1:8080", path: /metrics}\n';
    const same = identity();
    expect(reload([configOf(), same], [configOf(served), same]).applied).to.deep.equal(['statistics prometheus']);
    const more = served.replace('}', ', peer_metrics: true}');
    expect(reload([configOf(served), same], [configOf(more), same]).applied).to.deep.equal(['statistics prometheus']);
    expect(reload([configOf(served), same], [configOf(served), same]).applied).to.deep.equal([]);
  });

  it('takes a certificate that was renewed in place: no key of the configuration has changed', () => {
    const [old, renewed] = [identity(), identity({ groups: ['renewed'] })];
    const told = reload([configOf(), old], [configOf(), renewed]);
    expect(told.applied).to.deep.equal(['identity', 'discovery 1']);
    expect(told.identity).to.equal(renewed);
  });

  it('gives the device the addresses of a version that was added', () => {
    const [old, both] = [identity({ versions: [1] }), identity({ versions: [1, 2] })];
    const told = reload([configOf(), old], [configOf(), both]);
    expect(told.applied).to.deep.equal(['identity', 'discovery 2', 'rules', 'device 10.42.0.1/24 fd42::1/64']);
  });

  it('leaves discovery and device alone when the certificates are the same', () => {
    const told = reload([configOf(), identity()], [configOf(), identity()]);
    expect(told.applied).to.deep.equal(['identity']);
  });

  it('keeps the identity when the networks would change, says so, and applies the rest', () => {
    const [old, moved] = [identity(), identity({}, ['10.42.0.9/24'])];
    const told = reload([configOf(), old], [configOf('preferred_ranges: [192.0.2.0/24]'), moved]);
    expect(told.identity).to.equal(old);
    expect(told.applied).to.deep.equal(['discovery 1', 'control']);
    expect(told.lines[0]).to.match(/^level=ERROR .*10\.42\.0\.1\/24 would become 10\.42\.0\.9\/24/);
  });

  it('keeps old values of keys that need a restart, and names them', () => {
    const told = reload([configOf('cipher: aes'), identity()], [configOf('cipher: chachapoly'), identity()]);
    expect(told.config.cipher).to.equal('aes');
    expect(told.lines.join('')).to.match(/need a restart.*cipher/);
  });

  it('keeps the old values of a step that the machine refuses, names it, and applies the others', () => {
    const next = configOf('tun: {mtu: 1400, drop_multicast: true}\nlogging: {level: warn}');
    const refusal = { applyDevice: () => assert.fail('no such device') };
    const told = reload([configOf(), identity()], [next, identity()], refusal);
    expect(told.config.tun).to.deep.equal(configOf().tun);
    expect(told.config.logging.level).to.equal('warn');
    expect(told.lines.join('')).to.match(/refused.*step=device keys=.*tun\.mtu.*tun\.drop_multicast.*no such device/);
    const again = reload([told.config, identity()], [next, identity()]);
    expect(again.config.tun.mtu).to.equal(1400);
  });

  it('passes over no broken invariant', () => {
    const broken = { applyDevice: () => invariant(false, 'broken') };
    const next = configOf('tun: {mtu: 1400}');
    expect(() => reload([configOf(), identity()], [next, identity()], broken)).to.throw(BrokenInvariant);
  });

  it('keeps those values from the parts as well that another key of the section is applied to', () => {
    const next = configOf('  am_lighthouse: true\n  interval: 20\nlisten: {port: 4242}');
    const told = reload([configOf(), identity()], [next, identity()]);
    expect(told.applied).to.deep.equal(['identity', 'discovery 1', 'control']);
    expect(told.given.map(({ lighthouse }) => [lighthouse.amLighthouse, lighthouse.intervalMs])).to.deep.equal([
      [false, 20_000],
      [false, 20_000],
    ]);
  });
});
