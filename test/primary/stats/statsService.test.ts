import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { until } from '../../../src/primary/cli/demo/until.ts';
import type { StatsConfig } from '../../../src/primary/config/config.ts';
import { StatsService } from '../../../src/primary/stats/statsService.ts';
import { boundaryOver, CollectingLog } from '../../support/collectingLog.ts';
import { configOf } from '../inspectedNode.ts';
import { StatsNode } from './statsNode.ts';

function settingsOf(stats: Readonly<Record<string, unknown>>): StatsConfig {
  return configOf({ stats }).stats;
}

const PROMETHEUS = { type: 'prometheus', listen: '127.0.0.1:0', path: '/metrics', interval: '1h' };

describe('statistics of a node', () => {
  let log: CollectingLog;
  let node: StatsNode;
  let service: StatsService;
  const servers: Server[] = [];

  beforeEach(() => {
    log = new CollectingLog();
    node = new StatsNode();
    service = new StatsService(node, log, boundaryOver(log));
  });
  afterEach(async () => {
    await service.close();
    closeGraphites();
  });

  function closeGraphites(): void {
    for (const server of servers.splice(0)) {
      server.close();
    }
  }

  const scrape = async (port: number = service.port): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

  /** Takes what is sent to Graphite; each connection's text is one entry. */
  async function graphite(): Promise<{ readonly host: string; readonly texts: string[] }> {
    const texts: string[] = [];
    const server = createServer((socket) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', () => undefined);
      socket.on('close', () => texts.push(text));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, texts };
  }

  it('are nowhere to be had unless they are asked for', async () => {
    await service.apply(settingsOf({}));
    await service.apply(settingsOf({ type: 'none' }));
    expect(service.port).to.equal(0);
    expect(log.lines).to.deep.equal([]);
  });

  it('are served at once, old and modern ones', async () => {
    await service.apply(settingsOf({ ...PROMETHEUS, namespace: 'nebula' }));
    expect(log.texts).to.deep.equal(['info Prometheus stats listening']);
    const text = await scrape();
    expect(text).to.match(/^nebula_messages_tx_punchy 7$/m);
    expect(text).to.match(/^weft_messages_total\{direction="tx",type="punchy"\} 7$/m);
    expect(text).not.to.match(/^weft_peer/m);
  });

  it("give the modern set's meaning to a name that both have", async () => {
    await service.apply(settingsOf({ ...PROMETHEUS, namespace: 'weft', subsystem: 'build' }));
    expect((await scrape()).match(/^# TYPE weft_build_info /gm)).to.have.length(1);
  });

  it('have peers where the operator wants them, and no more of them than that', async () => {
    await service.apply(settingsOf({ ...PROMETHEUS, peer_metrics: true }));
    const text = await scrape();
    expect(text).to.include('weft_peer_bytes_total{name="busy",address="10.0.0.2",direction="rx"} 1300\n');
    expect(text).to.include('weft_peer_bytes_total{name="busy",address="10.0.0.2",direction="tx"} 48\n');
    expect(text).to.include(
      'weft_peer_packets_total{name="quiet \\"one\\"\\\\\\n",address="10.0.0.3",direction="tx"} 1\n',
    );
    expect(text).to.include('weft_peer_check_seconds{name="busy",address="10.0.0.2"} 0.02\n');
    await service.apply(settingsOf({ ...PROMETHEUS, peer_metrics: true, peer_metrics_max: 1 }));
    expect(
      [...(await scrape()).matchAll(/^weft_peer_bytes_total\{name="(\w+)/gm)].map((match) => match[1]),
    ).to.deep.equal(['busy', 'busy']);
  });

  it("show Nebula's values of the last interval, and the modern ones of now", async () => {
    await service.apply(settingsOf(PROMETHEUS));
    node.counts.set('boundary.api', 77);
    node.measures.handshakes.add(5);
    const text = await scrape();
    expect(text).to.match(/^handshakes\{type="count"\} 1$/m);
    expect(text).to.match(/^weft_handshake_duration_seconds_count 2$/m);
    expect(text).to.match(/^weft_boundary_faults_total\{entry="api"\} 77$/m);
  });

  it('move with the configuration, and end with it', async () => {
    await service.apply(settingsOf(PROMETHEUS));
    const first = service.port;
    await service.apply(settingsOf({ ...PROMETHEUS, path: '/elsewhere' }));
    expect(await scrape(first).catch(() => null)).to.equal(null);
    expect((await fetch(`http://127.0.0.1:${service.port}/elsewhere`)).status).to.equal(200);
    await service.apply(settingsOf({}));
    expect(service.port).to.equal(0);
  });

  it('wait for a port that is taken, say so a few times, and have it when it is free', async () => {
    const { host } = await graphite();
    await service.apply(settingsOf({ ...PROMETHEUS, listen: host, interval: '5ms' }));
    await until('several attempts', () => log.lines.length >= 3);
    expect(log.texts[0]).to.equal('warn Could not listen for Prometheus, trying again at the next interval');
    closeGraphites();
    await until('the port', () => service.port !== 0);
    expect(log.texts.filter((text) => text.startsWith('warn'))).to.have.length(3);
  });

  it('are sent to Graphite at once and at every interval, each time over a connection of its own', async () => {
    const { host, texts } = await graphite();
    await service.apply(settingsOf({ type: 'graphite', host, interval: '20ms', prefix: 'p' }));
    await until('three intervals', () => texts.length >= 3);
    for (const text of texts.slice(0, 3)) {
      expect(text).to.match(/^p\.messages\.tx\.punchy\.count 7 \d+$/m);
      expect(text.endsWith('\n')).to.equal(true);
    }
    expect(log.lines).to.deep.equal([]);
  });

  it('do without a Graphite that is not there, and say so', async () => {
    const { host } = await graphite();
    closeGraphites();
    await service.apply(settingsOf({ type: 'graphite', host, interval: '5ms' }));
    await until('several attempts', () => log.lines.length >= 3);
    expect(log.lines[0].fields['where']).to.equal(host);
    expect(String(log.lines[0].fields['error'])).to.match(/ECONNREFUSED/);
  });
});
