/** The local API of real nodes and the commands that ask it: what they say is what the packets do. */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { FlowList, RuleList, RulesDifference } from '../../src/primary/inspection/firewall.ts';
import type { MetricList } from '../../src/primary/inspection/metrics.ts';
import type { HostList, NodeStatus } from '../../src/primary/inspection/status.ts';
import type { WhyAnswer } from '../../src/primary/inspection/why.ts';
import { requireLab } from '../support/environment.ts';
import { WEFT_MAIN } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { ping, stream, untilReachable } from '../support/traffic.ts';

const INBOUND = [
  { port: 'any', proto: 'icmp', host: 'any' },
  { port: 5201, proto: 'tcp', host: 'left' },
  { port: 22, proto: 'tcp', group: 'admins' },
];

describe('commands that ask a running node', function () {
  this.timeout(60_000);
  let pair: Pair;

  before(async function () {
    requireLab(this, 'nebula-cert', 'iperf3', 'ping');
    pair = new Pair();
    await Promise.all([
      pair.left.start({ config: { api: { socket: socketOf('left') } } }),
      pair.right.start({ routines: 2, config: rightConfig(INBOUND) }),
    ]);
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
    await stream(pair.lab, pair.left.namespace, pair.right.namespace, RIGHT, { seconds: 1 });
  });
  after(() => pair?.close());

  function socketOf(label: string): string {
    return join(pair.lab.directory, 'api', `${label}.sock`);
  }

  function rightConfig(inbound: readonly unknown[]): { readonly [key: string]: unknown } {
    return { api: { socket: socketOf('right') }, firewall: { inbound, inbound_action: 'reject' } };
  }

  function weft(...words: readonly string[]): {
    readonly code: number | null;
    readonly out: string;
    readonly err: string;
  } {
    const done = spawnSync(process.execPath, [WEFT_MAIN, ...words], { encoding: 'utf8', timeout: 20_000 });
    return { code: done.status, out: done.stdout, err: done.stderr };
  }

  function askRight<Answer>(code: number, ...words: readonly string[]): Answer {
    const done = weft(...words, '--json', '-socket', socketOf('right'));
    expect(done.code, `${words.join(' ')}: ${done.err}`).to.equal(code);
    return JSON.parse(done.out) as Answer;
  }

  it('is for the owner of the socket only', () => {
    expect(statSync(socketOf('right')).mode & 0o777).to.equal(0o600);
    expect(statSync(join(pair.lab.directory, 'api')).mode & 0o777).to.equal(0o755);
  });

  it('names version, device, workers and certificate', () => {
    const status = askRight<NodeStatus>(0, 'status');
    expect(status).to.deep.include({ interface: 'overlay0', networks: [`${RIGHT}/24`], routines: 2, tunnels: 1 });
    expect(status.pid).to.equal(pair.right.program.pid);
    expect(status.workers.map(({ pid }) => pid).sort()).to.deep.equal(pair.right.workerPids().sort());
    expect(status.certificates[0].name).to.equal('right');
    expect(status.certificates[0].secondsLeft).to.be.within(3600, 48 * 3600);
    expect(weft('status', '-socket', socketOf('right')).out).to.match(/UDP port +4242/);
  });

  it('lists the tunnel with its peer, and what was counted', () => {
    const { hosts } = askRight<HostList>(0, 'hosts');
    expect(hosts).to.have.length(1);
    expect(hosts[0]).to.deep.include({ vpnAddresses: [LEFT], endpoint: '192.0.2.1:4242', primary: true });
    expect(hosts[0].sentCounter).to.be.greaterThan(100);
    const { counters, gauges } = askRight<MetricList>(0, 'metrics');
    const received = counters.find(({ name }) => name === 'tun.tx.packets');
    expect(received?.total).to.be.greaterThan(100);
    expect(received?.total).to.equal(received?.workers.reduce((sum, share) => sum + share, received.primary));
    expect(gauges.find(({ name }) => name === 'udp.1.rcvbuf')?.value).to.be.greaterThan(1000);
  });

  it('counts the flows that a rule let in, and shows them', () => {
    const { rules } = askRight<RuleList>(0, 'firewall', 'rules');
    const hits = rules.filter(({ direction }) => direction === 'incoming').map((rule) => rule.hits);
    expect(hits[0]).to.be.greaterThan(0);
    expect(hits[1], 'iperf3 opens a control connection and a data connection').to.equal(2);
    expect(hits[2]).to.equal(0);
    const flows = askRight<FlowList>(0, 'firewall', 'flows', '-proto', 'tcp', '-address', LEFT);
    expect(flows.count).to.equal(2);
    expect(flows.flows[0]).to.deep.include({ localAddress: RIGHT, localPort: 5201, direction: 'incoming' });
    expect(flows.flows[0].rule.name).to.equal('firewall.inbound rule #1');
    expect(flows.flows[0].expiresInSeconds).to.be.within(600, 721);
    expect(askRight<FlowList>(0, 'firewall', 'flows', '-direction', 'outgoing', '-proto', 'tcp').count).to.equal(0);
  });

  it('explains what passes: by its rule, and by its entry in the table', () => {
    const first = askRight<WhyAnswer>(0, 'why', LEFT, RIGHT, 'tcp', '5201');
    expect(first).to.deep.include({ outcome: 'allowed', direction: 'incoming', conntrack: null, liveFlows: 2 });
    expect(first.rule?.name).to.equal('firewall.inbound rule #1');
    expect(first.worker?.workers).to.equal(2);
    const { flows } = askRight<FlowList>(0, 'firewall', 'flows', '-proto', 'tcp');
    const known = askRight<WhyAnswer>(0, 'why', LEFT, RIGHT, 'tcp', `${flows[0].remotePort}:5201`);
    expect(known.conntrack).to.deep.include({ recheck: 'not needed', openedByWorker: flows[0].openedByWorker });
    expect(known.reason).to.match(/conntrack table/);
  });

  it('explains what is refused, and the packet is', async () => {
    const answer = askRight<WhyAnswer>(1, 'why', LEFT, RIGHT, 'tcp', '22');
    expect(answer).to.deep.include({ outcome: 'refused', rule: null, action: 'reject' });
    const failed = answer.rules.map(({ checks }) => checks.filter(({ passed }) => !passed).map(({ field }) => field));
    expect(failed).to.deep.equal([['proto'], ['port'], ['groups']]);
    const before = dropped('incoming.dropped.no_rule');
    await pair.lab.run(pair.left.namespace, ['timeout', '20', 'bash', '-c', `exec 3<>/dev/tcp/${RIGHT}/22`]);
    expect(dropped('incoming.dropped.no_rule')).to.be.greaterThan(before);
    const text = weft('why', LEFT, RIGHT, 'tcp', '22', '-socket', socketOf('right'));
    expect(text.out).to.match(/FAIL groups: nothing, wanted admins/);
  });

  function dropped(name: string): number {
    const { counters } = askRight<MetricList>(0, 'metrics', 'firewall.');
    return counters.find((counter) => counter.name === `firewall.${name}`)?.total ?? 0;
  }

  it('explains a forged source by the certificate that does not have it', async () => {
    const answer = askRight<WhyAnswer>(1, 'why', '10.86.0.9', RIGHT, 'tcp', '5201', '-via', LEFT);
    expect(answer.reason).to.equal('remote address is not in remote certificate networks');
    expect(answer.identity[0]).to.deep.include({ wanted: LEFT, actual: '10.86.0.9', passed: false });
    const nobody = askRight<WhyAnswer>(1, 'why', '10.86.0.9', RIGHT, 'tcp', '5201');
    expect(nobody).to.deep.include({ outcome: 'not carried', tunnel: null });
  });

  it('says which live flows new rules would cut', async () => {
    const path = join(pair.lab.directory, 'right.yml');
    pair.right.writeConfig(rightConfig(INBOUND.slice(0, 1)));
    const cut = askRight<RulesDifference>(1, 'firewall', 'diff', '-config', path);
    expect(cut.cutCount).to.equal(2);
    expect(cut.cut[0].packet).to.deep.include({ Protocol: 'tcp', LocalPort: 5201, RemoteAddr: LEFT });
    expect(weft('firewall', 'diff', '-config', path).out).to.match(/tcp +10\.86\.0\.2:5201 .*opens it again/);
    pair.right.writeConfig(rightConfig([...INBOUND, { port: 80, proto: 'tcp', host: 'any' }]));
    expect(askRight<RulesDifference>(0, 'firewall', 'diff', '-config', path).cut).to.deep.equal([]);
    pair.right.writeConfig(rightConfig([{ port: 'no', proto: 'tcp', host: 'any' }]));
    expect(weft('firewall', 'diff', '-config', path).err).to.match(
      /firewall\.inbound\[0\]\.port: port was not a number/,
    );
    expect((await ping(pair.lab, pair.left.namespace, RIGHT)).received).to.equal(3);
  });

  it('calls a node degraded that has other values than its file, or an older file', async () => {
    const { right } = pair;
    const reload = async (more: { readonly [key: string]: unknown }, line: RegExp): Promise<void> => {
      const mark = right.lines.length;
      right.writeConfig({ ...rightConfig(INBOUND), ...more });
      right.program.signal('SIGHUP');
      await right.program.waitForLine(line, 20_000, mark);
    };
    await reload({ punchy: { respond: 5 } }, /Configuration reloaded/);
    const kinds = (): readonly string[] => askRight<NodeStatus>(1, 'status').health.map(({ kind }) => kind);
    expect(kinds()).to.deep.equal(['configuration']);
    await reload({ cipher: 'AES' }, /the running configuration stays in force/);
    expect(kinds()).to.deep.equal(['reload', 'configuration']);
    expect(weft('status', '-socket', socketOf('right')).out)
      .to.match(/^state +degraded$/m)
      .and.match(/reload: not reloaded: .*right\.yml:\d+: cipher: expected one of aes, chachapoly, found "AES"/)
      .and.match(/configuration: .*punchy\.respond: expected true or false, found "5"; the default false is in force/);
    await reload({}, /Configuration reloaded/);
    expect(askRight<NodeStatus>(0, 'status').state).to.equal('ok');
  });

  it('keeps the socket of a live node from another, and takes a dead one', async () => {
    pair.right.writeConfig(rightConfig(INBOUND));
    await pair.left.stop();
    expect(existsSync(socketOf('left'))).to.equal(false);
    const thief = pair.left.launch({ config: { api: { socket: socketOf('right') } } });
    expect((await thief.exited).code).to.equal(1);
    expect(thief.lines.join('\n')).to.match(/another node answers at .*right\.sock/);
    await pair.left.start({ config: { api: { socket: socketOf('left') } } });
    pair.left.program.killGroup();
    await pair.left.program.exited;
    expect(existsSync(socketOf('left'))).to.equal(true);
    const alone = weft('hosts', '-socket', socketOf('left'));
    expect(alone.code).to.equal(1);
    expect(alone.err).to.match(/no node answers at .*left\.sock/);
    await pair.left.start();
    expect(weft('status', '-socket', socketOf('left')).code).to.equal(0);
  });
});
