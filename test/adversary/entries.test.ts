/**
 * Garbage into every entry of a running lighthouse: its port, its DNS, its API, its device, its signals, its machine's
 * addresses. Afterwards it is the same node: no process of it was replaced, no fault was caught, the tunnel carries
 * packets without a new handshake, DNS and API answer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { ApiClient } from '../../src/primary/cli/apiClient.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { MetricList } from '../../src/primary/inspection/metrics.ts';
import type { NodeStatus } from '../../src/primary/inspection/status.ts';
import { requireLab } from '../support/environment.ts';
import { UNDERLAY_PORT } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { Random } from '../support/random.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { adversaryScale } from './scale.ts';

const ATTACK = fileURLToPath(new URL('./entryAttack.js', import.meta.url));
const UNDERLAY = '192.0.2.1';
const DNS_PORT = 5353;
const SEED = 1010;

describe('garbage into every entry of a node', function () {
  this.timeout(240_000);
  let pair: Pair;
  let api: ApiClient;
  let before_: readonly unknown[];
  let handshakes: number;

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping', 'dig', 'ip');
    const lighthouse = { am_lighthouse: true, serve_dns: true, dns: { host: '0.0.0.0', port: DNS_PORT } };
    pair = new Pair({ left: { routines: 2, config: { lighthouse } } });
    await pair.start();
    await untilReachable(pair.lab, pair.right.namespace, LEFT);
    await pair.left.program.waitForLine(/DNS server is up/);
    await until('the name of the peer', answersDns);
    api = new ApiClient(pair.left.socketPath);
    before_ = processes();
    handshakes = pair.left.handshakes();
  });
  after(() => pair?.close());

  afterEach('the node is as it was', async () => {
    const status = (await api.get('/v1/status')) as NodeStatus;
    expect(status.workers.map(({ restarts }) => restarts)).to.deep.equal([0, 0]);
    expect(processes()).to.deep.equal(before_);
    const { sent, received } = await ping(pair.lab, pair.right.namespace, LEFT, { count: 5 });
    expect(received, 'answered pings').to.equal(sent);
    expect(await answersDns(), 'DNS answers').to.equal(true);
    expect(pair.left.handshakes(), 'new handshakes').to.equal(handshakes);
    const faults = [...(await counts('boundary.')), ...(await counts('dns.faults')), ...(await counts('dns.restarts'))];
    expect(faults.filter(([, count]) => count !== 0)).to.deep.equal([]);
  });

  function processes(): readonly unknown[] {
    return [pair.left.program.pid, ...pair.left.workerPids(), pair.left.dnsPid(), pair.left.program.status];
  }

  async function answersDns(): Promise<boolean> {
    const words = ['dig', `@${UNDERLAY}`, '-p', String(DNS_PORT), '+short', '+time=2', '+tries=2', 'right', 'A'];
    return (await pair.lab.run(pair.right.namespace, words)).stdout.includes(RIGHT);
  }

  async function counts(prefix: string): Promise<readonly (readonly [string, number])[]> {
    const { counters } = (await api.get('/v1/metrics')) as MetricList;
    return counters.filter(({ name }) => name.startsWith(prefix)).map(({ name, total }) => [name, total] as const);
  }

  async function total(name: string): Promise<number> {
    return (await counts(name)).find(([each]) => each === name)?.[1] ?? 0;
  }

  async function attack(from: Pair['left'], ...words: readonly (string | number)[]): Promise<void> {
    const command = [process.execPath, ATTACK, ...words.map(String), String(SEED)];
    const { code, lines } = await pair.lab.run(from.namespace, command, 120_000);
    expect(code, lines.join('\n')).to.equal(0);
  }

  it('datagrams to its port', async () => {
    await attack(pair.right, 'udp', UNDERLAY, UNDERLAY_PORT, adversaryScale(20_000));
  });

  it('DNS queries over UDP', async () => {
    await attack(pair.right, 'dns', UNDERLAY, DNS_PORT, adversaryScale(5_000));
    expect(await total('dns.drop.malformed')).to.be.greaterThan(0);
  });

  it('DNS queries from port 0, which nobody can answer', async () => {
    await attack(pair.right, 'port0', UNDERLAY, DNS_PORT, adversaryScale(500));
    expect(await total('dns.drop.source')).to.be.greaterThan(0);
  });

  it('DNS over TCP: noise, halves, floods of questions, silence, resets', async () => {
    await attack(pair.right, 'dnsTcp', UNDERLAY, DNS_PORT, adversaryScale(100));
    expect(await total('dns.tcp.connections')).to.be.greaterThan(0);
  });

  it('frames out of its own device', async () => {
    await attack(pair.left, 'device', 'overlay0', adversaryScale(5_000));
  });

  it('noise, halves and nonsense to its API, and more clients than it serves', async () => {
    const random = new Random(SEED);
    const requests = [
      'GET / HTTP/1.1\r\n\r\n',
      'POST /v1/why HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n[[[[[',
      `POST /v1/firewall/diff HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n${'['.repeat(100_000)}`,
      'GET /v1/firewall/flows?limit=99999999999&address=%FF%00 HTTP/1.1\r\nhost: x\r\n\r\n',
      `GET /v1/lighthouse/query?address=${'9'.repeat(3000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
      'GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n',
      `GET /v1/status HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(20_000)}\r\n\r\n`,
      'POST /v1/why HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n',
    ];
    const clients = Array.from({ length: adversaryScale(700) }, () => {
      const socket = connect(pair.left.socketPath);
      socket.on('error', () => undefined);
      const request = random.below(3) === 0 ? Buffer.from(random.bytes(200)) : Buffer.from(random.pick(requests));
      socket.write(request.subarray(0, random.below(3) === 0 ? random.below(request.length) : request.length));
      return socket;
    });
    await until('all to be answered or waiting', () => clients.every(({ connecting }) => !connecting));
    for (const client of clients) {
      client.destroy();
    }
    await until('room at the API', async () => (await api.get('/v1/status').catch(() => null)) !== null);
  });

  it('signals without end, with a configuration that is good and bad by turns', async () => {
    const good = readFileSync(pair.left.configPath);
    const rounds = adversaryScale(10);
    const random = new Random(SEED);
    for (let round = 0; round < rounds; round++) {
      const mark = pair.left.lines.length;
      const broken = Buffer.from(good);
      broken.fill(random.below(256), random.below(100), 100 + random.below(100));
      writeFileSync(pair.left.configPath, round % 2 === 0 ? broken : good);
      for (const signal of ['SIGUSR1', 'SIGPIPE', 'SIGCHLD', 'SIGWINCH', 'SIGCONT', 'SIGHUP'] as const) {
        pair.left.program.signal(signal);
      }
      await pair.left.program.waitForLine(/Configuration reloaded|Error occurred while reloading/, 30_000, mark);
    }
    expect(pair.left.lines.filter((line) => line.includes('Debugger'))).to.deep.equal([]);
    writeFileSync(pair.left.configPath, good);
    const mark = pair.left.lines.length;
    pair.left.program.signal('SIGHUP');
    await pair.left.program.waitForLine(/Configuration reloaded/, 30_000, mark);
  });

  it('addresses of the machine that come and go', async () => {
    const lines = Array.from({ length: adversaryScale(200) }, (_, index) => {
      const address = `198.18.${(index >> 8) & 255}.${index & 255}/32`;
      return `addr add ${address} dev lo\naddr del ${address} dev lo`;
    });
    const file = `${pair.lab.directory}/addresses`;
    writeFileSync(file, `${lines.join('\n')}\n`);
    expect((await pair.lab.run(pair.left.namespace, ['ip', '-batch', file])).code).to.equal(0);
  });
});
