/** Real nodes that reach nobody: what they and the commands that ask them say, and who is locked out by key. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { HostList, NodeStatus } from '../../src/primary/inspection/status.ts';
import { requireLab } from '../support/environment.ts';
import { type TestNode, WEFT_MAIN } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { Pki } from '../support/pki.ts';
import { ping, untilReachable } from '../support/traffic.ts';

const UNRESOLVED = '10.86.0.6';
const FORBIDDEN = '10.86.0.7';
const NO_ROUTE = '10.86.0.8';
const SILENT = '10.86.0.9';

describe('words of a node that reaches nobody', function () {
  this.timeout(90_000);
  let pair: Pair | null = null;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  function weft(...words: readonly string[]): { readonly code: number | null; readonly out: string } {
    const { status, stdout } = spawnSync(process.execPath, [WEFT_MAIN, ...words], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { code: status, out: stdout };
  }

  function hostsOf(node: TestNode): HostList {
    return JSON.parse(weft('hosts', '-json', '-socket', node.socketPath).out) as HostList;
  }

  it('name the cause for every host, in status, hosts, why and the log', async () => {
    const started = new Pair({
      left: {
        staticHosts: {
          [RIGHT]: ['192.0.2.2:4242'],
          [UNRESOLVED]: ['no.such.invalid:4242'],
          [FORBIDDEN]: ['203.0.113.7:4242'],
          [NO_ROUTE]: ['198.51.100.8:4242'],
          [SILENT]: ['192.0.2.9:4242'],
        },
        config: { lighthouse: { hosts: [SILENT], interval: 2 } },
      },
      right: { cipher: 'chachapoly' },
    });
    pair = started;
    const { lab, left } = started;
    await lab.run(left.namespace, ['ip', 'route', 'add', 'prohibit', '203.0.113.0/24']);
    await started.start();
    for (const address of [RIGHT, UNRESOLVED, FORBIDDEN, NO_ROUTE]) {
      await ping(lab, left.namespace, address, { count: 1, patienceSeconds: 1 });
    }
    const reasons = new Map(hostsOf(left).unreached.map((host) => [host.vpnAddress, host.reasons.join('; ')]));
    expect(reasons.get(RIGHT)).to.match(
      /answers? from 192\.0\.2\.2:4242 could not be decrypted: does `cipher` differ\?/,
    );
    expect(reasons.get(UNRESOLVED)).to.match(/^the name "no\.such\.invalid" cannot be resolved: ./);
    expect(reasons.get(FORBIDDEN)).to.equal('cannot send to 203.0.113.7:4242: permission denied (EACCES)');
    expect(reasons.get(NO_ROUTE)).to.equal('cannot send to 198.51.100.8:4242: network is unreachable (ENETUNREACH)');
    expect(reasons.get(SILENT)).to.match(/^no answer from 192\.0\.2\.9:4242 for \d+ s \(\d+ attempts\)$/);
    const status = weft('status', '-socket', left.socketPath);
    expect(status.code).to.equal(1);
    expect(status.out).to.match(
      /lighthouse: the lighthouse 10\.86\.0\.9 is not reached: no answer from 192\.0\.2\.9:4242/,
    );
    expect(status.out).to.match(
      /host: the host 10\.86\.0\.8 is not reached: cannot send to 198\.51\.100\.8:4242: network/,
    );
    expect(weft('hosts', '-socket', left.socketPath).out).to.match(
      /^not reached:\n10\.86\.0\.9 \(lighthouse\): \d+ attempts/m,
    );
    const why = weft('why', '-socket', left.socketPath, LEFT, NO_ROUTE, 'tcp', '80');
    expect(why.out).to.match(/waiting: no tunnel to 10\.86\.0\.8: .* So far: cannot send to 198\.51\.100\.8:4242/);
    await until('the handshake to be given up', () => left.lines.some((line) => /timed out.*ENETUNREACH/.test(line)));
    const unsent = left.lines.filter((line) => /Could not send a datagram.*198\.51\.100\.8/.test(line));
    expect(unsent, 'the first of ten attempts, and the tenth').to.have.length(2);
  });

  it('name a foreign CA on the side that refuses', async () => {
    const started = new Pair();
    pair = started;
    const { lab, left, right } = started;
    const directory = join(lab.directory, 'other');
    mkdirSync(directory);
    const files = new Pki(directory).sign('right', `${RIGHT}/24`);
    await Promise.all([left.start(), right.start({ files })]);
    await ping(lab, left.namespace, RIGHT, { count: 1, patienceSeconds: 1 });
    const [refused] = hostsOf(right).refused;
    expect(refused).to.include({ endpoint: '192.0.2.1:4242' });
    expect(refused.reason).to.match(/^could not find ca for the certificate/);
    const { code, out } = weft('status', '-json', '-socket', right.socketPath);
    expect(code).to.equal(1);
    const { state, health } = JSON.parse(out) as NodeStatus;
    expect(state).to.equal('degraded');
    expect(health[0].text).to.match(/^handshakes from 192\.0\.2\.1:4242 are refused: could not find ca/);
    expect(weft('hosts', '-socket', left.socketPath).out).to.match(/no answer from 192\.0\.2\.2:4242 for \d+ s/);
  });

  it('a host is locked out by its public key, on reload, with the tunnel that its certificate had', async () => {
    const timers = { connection_alive_interval: 1, pending_deletion_interval: 2 };
    const started = new Pair({ left: { config: { timers } } });
    pair = started;
    const { lab, left, pki } = started;
    await started.start();
    await untilReachable(lab, left.namespace, RIGHT);
    const renewed = pki.sign('right-2', `${RIGHT}/24`);
    const printed = weft('cert', 'print', '-json', '-path', renewed.cert).out;
    const fingerprints = (): string[] => hostsOf(left).hosts.map(({ certificate }) => certificate.fingerprint);
    expect(fingerprints()[0]).to.match(/^[0-9a-f]{64}$/);
    await started.right.restart({ files: renewed });
    await untilReachable(lab, left.namespace, RIGHT, 20_000);
    const [{ details, fingerprint }] = [JSON.parse(printed)].flat() as { details: Details; fingerprint: string }[];
    await until('the tunnel to be of the second certificate', () => fingerprints().includes(fingerprint));
    left.writeConfig({ pki: { blocklist_keys: [details?.publicKey] } });
    const mark = left.lines.length;
    left.program.signal('SIGHUP');
    await left.program.waitForLine(/certificate is in the block list|Remote certificate/, 10_000, mark);
    await until('the tunnel to be closed', () => hostsOf(left).hosts.length === 0);
    expect((await ping(lab, left.namespace, RIGHT, { count: 1, patienceSeconds: 1 })).received).to.equal(0);
    const [{ reasons }] = hostsOf(left).unreached;
    expect(reasons.join()).to.match(/refused: certificate is in the block list/);
  });
});

interface Details {
  readonly publicKey: string;
}
