import { expect } from 'chai';
import { describe, it } from 'mocha';
import { configDifference, reloadPlan, touches } from '../../../src/primary/config/difference.ts';
import { BASE, configOf, load } from './support.ts';

describe('difference of configurations', () => {
  it('is empty for the same text, another spelling and an explicit default', () => {
    const variants = ['', 'listen: {port: 0}\n', 'tun: {mtu: "1300"}\n', 'static_map: {cadence: 0h0m30s}\n'];
    for (const variant of variants) {
      expect(configDifference(configOf(), configOf(variant)), variant).to.deep.equal([]);
    }
    expect(configDifference(configOf('routines: 2\n'), configOf('tun: {routines: 2}\n'))).to.deep.equal([]);
  });

  it('names changed keys as the operator writes them, in a fixed order', () => {
    const next = configOf(`
logging: {level: debug}
handshakes: {try_interval: 200ms}
listen: {read_buffer: 1000}
lighthouse_: 1
preferred_ranges: [10.0.0.0/8]
firewall: {inbound: [{port: any, proto: any, host: any}]}
`);
    expect(configDifference(configOf(), next)).to.deep.equal([
      'preferred_ranges',
      'handshakes.try_interval',
      'logging.level',
      'listen.read_buffer',
      'firewall.inbound',
    ]);
  });

  it('sees changes inside lists and maps', () => {
    const other = load(BASE.replace('192.0.2.1', '192.0.2.2')).config;
    expect(configDifference(configOf(), other!)).to.deep.equal(['static_host_map']);
  });

  it('counts a derived value: more routines turn the flow cache on', () => {
    expect(configDifference(configOf(), configOf('routines: 2\n'))).to.deep.equal([
      'routines',
      'firewall.conntrack.routine_cache_timeout',
    ]);
  });

  it('separates what a reload applies from what needs a restart', () => {
    const next = configOf('logging: {format: json}\nlisten: {port: 4242}\ncipher: chachapoly\npunchy: {punch: true}\n');
    const plan = reloadPlan(configOf(), next);
    expect(plan).to.deep.equal({
      changed: ['punchy.punch', 'logging.format'],
      restartNeeded: ['cipher', 'listen.port'],
    });
    expect(touches(plan.changed, 'logging')).to.equal(true);
    expect(touches(plan.changed, 'punchy.punch')).to.equal(true);
    expect(touches(plan.changed, 'punch')).to.equal(false);
  });
});
