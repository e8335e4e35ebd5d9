import { expect } from 'chai';
import { describe, it } from 'mocha';
import { statsEndpoint } from '../../../src/primary/config/keysOfStats.ts';
import { complaints, configOf } from './support.ts';

const GRAPHITE = 'type: graphite, interval: 10s, host: "127.0.0.1:2003"';
const PROMETHEUS = 'type: prometheus, interval: 10s, listen: "127.0.0.1:8080", path: /metrics';

describe('stats', () => {
  it('are off unless a type is chosen, whatever the other keys say', () => {
    expect(configOf().stats).to.deep.include({ type: '', intervalMs: 0, peerMetrics: false });
    for (const text of ['{type: none, interval: soon}', '{type: "", protocol: udp}', '{message_metrics: true}']) {
      expect(complaints(`stats: ${text}\n`)).to.deep.equal([]);
    }
  });

  it('take what Nebula takes', () => {
    expect(complaints(`stats: {${GRAPHITE}}\nrelay: {use_relays: false}\n`)).to.deep.equal([]);
    expect(configOf(`stats: {${GRAPHITE}}\n`).stats).to.deep.include({
      host: '127.0.0.1:2003',
      intervalMs: 10_000,
      prefix: 'nebula',
      protocol: 'tcp',
    });
    expect(configOf(`stats: {${PROMETHEUS}, namespace: a, subsystem: b}\n`).stats).to.deep.include({
      listen: '127.0.0.1:8080',
      path: '/metrics',
      namespace: 'a',
      subsystem: 'b',
    });
  });

  for (const [text, complaint] of [
    ['type: influx', 'stats.type: was not understood: influx'],
    ['type: Prometheus', 'stats.type: was not understood: Prometheus'],
    [GRAPHITE.replace('10s', '10'), 'stats.interval: was an invalid duration: 10'],
    [GRAPHITE.replace('10s', '-5s'), 'stats.interval: was an invalid duration: -5s'],
    [PROMETHEUS.replace('interval: 10s, ', ''), 'stats.interval: was an invalid duration: '],
    [PROMETHEUS.replace('10s', '[1]'), 'stats.interval: was an invalid duration: '],
    ['type: graphite, interval: 10s', 'stats.host: can not be empty'],
    [GRAPHITE.replace(':2003', ''), 'stats.host: expected host:port, such as graphite.example.com:2003'],
    [`${GRAPHITE}, protocol: udp`, 'stats.protocol: expected tcp, tcp4 or tcp6, found udp'],
    ['type: prometheus, interval: 10s, path: /m', 'stats.listen: should not be empty'],
    ['type: prometheus, interval: 10s, listen: ":80"', 'stats.path: should not be empty'],
    [PROMETHEUS.replace('/metrics', 'metrics'), 'stats.path: has to begin with /'],
  ] as const) {
    it(`refuse {${text}}`, () => {
      expect(complaints(`stats: {${text}}\n`)).to.deep.equal([`6: ${complaint}`]);
    });
  }

  it('name endpoints by address, by name, or by the port alone', () => {
    expect(statsEndpoint('[::1]:8080')).to.deep.equal({ host: '::1', port: 8080 });
    expect(statsEndpoint(':8080')).to.deep.equal({ host: '', port: 8080 });
    expect(statsEndpoint('[::]:1')).to.deep.equal({ host: '::', port: 1 });
    expect(statsEndpoint('graphite:2003')).to.deep.equal({ host: 'graphite', port: 2003 });
    for (const text of ['8080', '::1:8080', 'a:70000', 'a b:1', 'a:']) {
      expect(statsEndpoint(text), text).to.equal(null);
    }
  });
});
