import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FirewallInspection } from '../../../src/primary/inspection/firewall.ts';
import { metricList } from '../../../src/primary/inspection/metrics.ts';
import { expositionOf } from '../../../src/primary/stats/exposition.ts';
import {
  type NebulaMetric,
  type NebulaMetricOptions,
  nebulaMetrics,
} from '../../../src/primary/stats/nebulaMetrics.ts';
import { graphiteText, nebulaFamilies } from '../../../src/primary/stats/nebulaText.ts';
import { StatsNode } from './statsNode.ts';

const NOTHING = { messageMetrics: false, lighthouseMetrics: false, hasDevice: true };

function metricsOf(options: Partial<NebulaMetricOptions> = {}): readonly NebulaMetric[] {
  const node = new StatsNode();
  const list = metricList(node, new FirewallInspection(node));
  return nebulaMetrics(list, node.measures.handshakes.sample.snapshot(), { ...NOTHING, ...options });
}

function countIn(metrics: readonly NebulaMetric[], name: string): number | undefined {
  const found = metrics.find((metric) => metric.name === name);
  return found === undefined || found.kind === 'histogram' ? undefined : found.value;
}

describe("Nebula's metrics", () => {
  it('count what Nebula counts, whatever weft tells apart', () => {
    const metrics = metricsOf();
    expect(countIn(metrics, 'messages.tx.punchy')).to.equal(7);
    expect(countIn(metrics, 'network.packets.duplicate')).to.equal(5);
    expect(countIn(metrics, 'network.packets.out_of_window')).to.equal(6);
    expect(countIn(metrics, 'firewall.incoming.dropped.remote_addr')).to.equal(3);
    expect(countIn(metrics, 'hostmap.main.hosts')).to.equal(2);
    expect(countIn(metrics, 'hostmap.main.relayIndexes')).to.equal(0);
    expect(countIn(metrics, 'certificate.ttl_seconds')).to.equal(10 * 86_400);
    expect(countIn(metrics, 'udp.0.drops')).to.equal(9);
  });

  it('have messages and lighthouse only where they are asked for', () => {
    const names = (options: Partial<NebulaMetricOptions>): readonly string[] => {
      const without = new Set(metricsOf().map(({ name }) => name));
      return metricsOf(options)
        .map(({ name }) => name)
        .filter((name) => !without.has(name));
    };
    expect(names({ messageMetrics: true }))
      .to.have.length(14)
      .and.include('messages.rx.handshake_ixpsk0');
    expect(names({ lighthouseMetrics: true }))
      .to.have.length(13)
      .and.include('lighthouse.tx.HostQueryReply');
    expect(names({ messageMetrics: true, hasDevice: false })).to.include('messages.rx.message');
  });

  it('are gauges for Prometheus, named by namespace, subsystem and name', () => {
    const text = expositionOf(
      nebulaFamilies(metricsOf(), { namespace: 'my-net', subsystem: 'nebula', version: '1.2.3' }),
    );
    expect(text).to.include('# HELP my_net_nebula_messages_tx_punchy messages.tx.punchy\n');
    expect(text).to.include('# TYPE my_net_nebula_messages_tx_punchy gauge\nmy_net_nebula_messages_tx_punchy 7\n');
    expect(text).to.include('my_net_nebula_handshakes{type="perc95"} 12000000\n');
    const types = [...text.matchAll(/handshakes\{type="(\w+)"\}/g)].map((match) => match[1]);
    expect(types.sort()).to.deep.equal(
      ['count', 'max', 'min', 'mean', 'stddev', 'perc75', 'perc95', 'perc99', 'perc999', 'sum', 'variance'].sort(),
    );
    expect(text).to.match(
      /\nmy_net_nebula_info\{version="1\.2\.3",goversion="node v[\d.]+",boringcrypto="false"\} 1\n/,
    );
    expect(expositionOf(nebulaFamilies(metricsOf(), { namespace: '', subsystem: '', version: '' }))).to.match(
      /^routines 2$/m,
    );
  });

  it('are lines for Graphite', () => {
    const lines = graphiteText(metricsOf(), 'nebula.me', 10_000, 1_700_000_000).split('\n');
    expect(lines).to.include.members([
      'nebula.me.messages.tx.punchy.count 7 1700000000',
      'nebula.me.messages.tx.punchy.count_ps 0.70 1700000000',
      'nebula.me.hostmap.main.hosts.value 2 1700000000',
      'nebula.me.handshakes.count 1 1700000000',
      'nebula.me.handshakes.min 12000000 1700000000',
      'nebula.me.handshakes.mean 12000000.00 1700000000',
      'nebula.me.handshakes.std-dev 0.00 1700000000',
      'nebula.me.handshakes.999-percentile 12000000.00 1700000000',
    ]);
    expect(lines.pop()).to.equal('');
    expect(lines.every((line) => /^nebula\.me\.[\w.-]+ -?[\d.]+ 1700000000$/.test(line))).to.equal(true);
  });
});
