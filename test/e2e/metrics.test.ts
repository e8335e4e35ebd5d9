/** Statistics of real nodes, asked by a real Prometheus and sent to a listener in Graphite's place. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';

const PORT = 9469;
const STATS = { type: 'prometheus', interval: '1s', path: '/metrics', namespace: 'nebula', peer_metrics: true };
const AT_HOME = { stats: { ...STATS, listen: `127.0.0.1:${PORT}` } };
/** Only members of the overlay reach it, and only those that the firewall lets in. */
const IN_OVERLAY = { stats: { ...STATS, listen: `${RIGHT}:${PORT}` } };

interface Answer {
  readonly data: {
    readonly result: readonly {
      readonly metric: { readonly [label: string]: string };
      readonly value: [number, string];
    }[];
    readonly groups: readonly { readonly rules: readonly { readonly name: string; readonly health: string }[] }[];
  };
}

describe('a real Prometheus', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping', 'prometheus');
    pair = new Pair({ left: { config: AT_HOME }, right: { routines: 2, config: IN_OVERLAY } });
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
    startPrometheus();
    await until('Prometheus', async () => (await query('up')).length > 0, 60_000);
  });
  after(() => pair?.close());

  function startPrometheus(): void {
    const { lab, left } = pair;
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [resolve('deploy/prometheus/weft.rules.yml')],
      scrape_configs: [{ job_name: 'weft', static_configs: [{ targets: [`127.0.0.1:${PORT}`, `${RIGHT}:${PORT}`] }] }],
    };
    writeFileSync(join(lab.directory, 'prometheus.yml'), JSON.stringify(config));
    lab.start(left.namespace, [
      'prometheus',
      `--config.file=${join(lab.directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(lab.directory, 'prometheus')}`,
      '--web.listen-address=127.0.0.1:9090',
    ]);
  }

  /** The body of a URL, asked for from the left node's namespace; null when nobody answers. */
  async function get(url: string): Promise<string | null> {
    const program = 'const r = await fetch(process.argv[1]); process.stdout.write(await r.text());';
    const command = [process.execPath, '--input-type=module', '-e', program, url];
    const { code, stdout } = await pair.lab.run(pair.left.namespace, command);
    return code === 0 ? stdout : null;
  }

  async function ask(path: string): Promise<Answer | null> {
    const text = await get(`http://127.0.0.1:9090/api/v1/${path}`);
    return text === null || !text.startsWith('{') ? null : (JSON.parse(text) as Answer);
  }

  async function query(expression: string): Promise<Answer['data']['result']> {
    return (await ask(`query?query=${encodeURIComponent(expression)}`))?.data.result ?? [];
  }

  async function numberOf(expression: string): Promise<number> {
    const result = await query(expression);
    return result.length === 1 ? Number(result[0].value[1]) : Number.NaN;
  }

  it('finds both nodes, by loopback and through the overlay', async () => {
    await until('both up', async () => (await numberOf('sum(up)')) === 2);
    expect(await numberOf(`weft_worker_up{instance="${RIGHT}:${PORT}",worker="1"}`)).to.equal(1);
    expect(await numberOf(`weft_tunnels{instance="127.0.0.1:${PORT}"}`)).to.equal(1);
    expect(await numberOf(`nebula_hostmap_main_hosts{instance="127.0.0.1:${PORT}"}`)).to.equal(1);
    expect(await numberOf('min(weft_health{check=~"workers|tunnels|conntrack|certificate"})')).to.equal(1);
  });

  it('sees how long handshakes and checks took', async () => {
    const handshakes = `weft_handshake_duration_seconds_count{instance="127.0.0.1:${PORT}"}`;
    await until('a handshake', async () => (await numberOf(handshakes)) >= 1);
    expect(await numberOf(`nebula_handshakes{instance="127.0.0.1:${PORT}",type="count"}`)).to.be.greaterThan(0);
    // Who is called asks the caller for a first packet, by a test.
    const checks = `weft_tunnel_check_duration_seconds_count{instance="${RIGHT}:${PORT}"}`;
    await until('a check', async () => (await numberOf(checks)) >= 1);
    expect(await numberOf('max(weft_peer_check_seconds)')).to.be.within(0, 60);
  });

  it('counts what a peer sent and got, as the peer does', async () => {
    const received = `weft_peer_bytes_total{instance="${RIGHT}:${PORT}",name="left",address="${LEFT}",direction="rx"}`;
    await until('the first count', async () => (await numberOf(received)) > 0);
    const earlier = await numberOf(received);
    expect((await ping(pair.lab, pair.left.namespace, RIGHT, { count: 20, payloadBytes: 1000 })).received).to.equal(20);
    await until('the pings', async () => (await numberOf(received)) >= earlier + 20 * 1028);
    const sent = `weft_peer_packets_total{instance="127.0.0.1:${PORT}",name="right",direction="tx"}`;
    expect(await numberOf(sent)).to.be.greaterThan(20);
  });

  it('runs the alerting rules without a fault', async () => {
    await until('the rules', async () => {
      const rules = (await ask('rules'))?.data.groups.flatMap((group) => group.rules) ?? [];
      return rules.length > 10 && rules.every(({ health }) => health === 'ok');
    });
    const firing = await query('ALERTS{alertstate="firing"}');
    // The certificates of the test end within days.
    const names = firing.map(({ metric }) => metric['alertname']).filter((name) => !name.startsWith('WeftCertificate'));
    expect(names).to.deep.equal([]);
  });

  it('finds the port that a reload opens, and none that it closes', async () => {
    const { left } = pair;
    left.writeConfig({ stats: { listen: `127.0.0.1:${PORT + 1}` } });
    const mark = left.lines.length;
    left.program.signal('SIGHUP');
    await left.program.waitForLine(/Prometheus stats listening/, 30_000, mark);
    expect(await get(`http://127.0.0.1:${PORT + 1}/metrics`)).to.match(/^weft_build_info/m);
    expect(await get(`http://127.0.0.1:${PORT}/metrics`)).to.equal(null);
    left.writeConfig({ stats: { type: 'none' } });
    left.program.signal('SIGHUP');
    await until('the end of it', async () => (await get(`http://127.0.0.1:${PORT + 1}/metrics`)) === null);
  });

  it('is not needed: a reload sends to Graphite instead', async () => {
    const { lab, left } = pair;
    const path = join(lab.directory, 'graphite.txt');
    const program = `
      const { createServer } = await import('node:net');
      const { appendFileSync } = await import('node:fs');
      const server = createServer((socket) => socket.on('data', (bytes) => appendFileSync(process.argv[1], bytes)));
      server.listen(2003, '127.0.0.1', () => console.log('listening'));`;
    const listener = lab.start(left.namespace, [process.execPath, '--input-type=module', '-e', program, path]);
    await listener.waitForLine(/listening/);
    left.writeConfig({ stats: { type: 'graphite', host: '127.0.0.1:2003', interval: '500ms', prefix: 'nebula.left' } });
    left.program.signal('SIGHUP');
    const counts = (): readonly string[] =>
      [...readIfThere(path).matchAll(/^nebula\.left\.hostmap\.main\.hosts\.value (\d+) \d+$/gm)].map(
        (match) => match[1],
      );
    await until('three intervals', () => counts().length >= 3);
    expect(counts()[0]).to.equal('1');
    await listener.stop();
  });

  function readIfThere(path: string): string {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  }
});
