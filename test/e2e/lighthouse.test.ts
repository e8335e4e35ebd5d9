/**
 * Hosts behind real NAT, in namespaces, find each other through a lighthouse and talk directly: the routers' own tables
 * show the flows. Nothing relays here, so every answer to a ping is one.
 */
import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { LighthouseEntry, LighthouseList } from '../../src/primary/inspection/lighthouse.ts';
import type { HostList } from '../../src/primary/inspection/status.ts';
import { requireLab } from '../support/environment.ts';
import {
  LIGHTHOUSE,
  NatLab,
  type NatLabOptions,
  overlayAddress,
  privateAddress,
  publicAddress,
} from '../support/natLab.ts';
import { type TestNode, WEFT_MAIN } from '../support/nodes.ts';
import { ping, untilReachable } from '../support/traffic.ts';

describe('lighthouse and NAT', function () {
  this.timeout(120_000);
  let net: NatLab | null = null;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping', 'nft');
  });
  afterEach(() => {
    net?.close();
    net = null;
  });

  async function startNet(options: NatLabOptions): Promise<NatLab> {
    const started = new NatLab(options);
    net = started;
    await started.start();
    return started;
  }

  it('three hosts behind three routers ping each other directly', async () => {
    const started = await startNet({
      // Room for more tunnels than the hosts of a full table need.
      lighthouse: { routines: 2, config: { tunnels: { max: 150_000 } } },
      hosts: [
        { nat: 'restricted', node: {} },
        { nat: 'restricted', node: { routines: 2 } },
        { nat: 'open', node: {} },
      ],
    });
    for (const [from, to] of [
      [1, 2],
      [2, 3],
      [3, 1],
    ]) {
      const { lab, hosts } = started;
      await untilReachable(lab, hosts[from - 1].namespace, overlayAddress(to));
      expect((await ping(lab, hosts[to - 1].namespace, overlayAddress(from))).received).to.equal(3);
      expect(directFlows(started, from, to), `flows of router ${from}`).to.not.deep.equal([]);
      expect(endpointOf(hosts[from - 1], to)).to.equal(`${publicAddress(to)}:4242`);
    }
    expectTable(started);
  });

  /** The lighthouse learned public endpoints and was told private ones. */
  function expectTable({ lighthouse }: NatLab): void {
    const list = ask<LighthouseList>(lighthouse, 'lighthouse', 'list');
    expect(list).to.deep.include({ lighthouse: true, count: 3 });
    const sorted = [...list.hosts].sort((a, b) => (a.vpnAddresses[0] < b.vpnAddresses[0] ? -1 : 1));
    expect(sorted).to.deep.equal(
      [1, 2, 3].map((host) => ({
        vpnAddresses: [overlayAddress(host)],
        learned: [`${publicAddress(host)}:4242`],
        reported: [`${privateAddress(host)}:4242`],
        relays: [],
      })),
    );
    expect(ask<LighthouseEntry>(lighthouse, 'lighthouse', 'query', overlayAddress(2))).to.deep.equal(sorted[1]);
    const text = weft('lighthouse', 'list', '-socket', lighthouse.socketPath);
    expect(text.stdout).to.match(/3 hosts in the table of this lighthouse/);
    const unknown = weft('lighthouse', 'query', overlayAddress(77), '-socket', lighthouse.socketPath);
    expect(unknown.status).to.equal(1);
    expect(unknown.stderr).to.match(/nothing is known of 10\.87\.0\.77/);
  }

  for (const initiator of [1, 2]) {
    const title =
      initiator === 1 ? 'reaches an open one' : 'is reached from an open one, by answering the notification';
    it(`a host behind a router with random ports ${title}`, async () => {
      const config = { punchy: { respond: true, respond_delay: '200ms' } };
      const started = await startNet({
        lighthouse: {},
        hosts: [
          { nat: 'symmetric', node: { config } },
          { nat: 'open', node: { config } },
        ],
      });
      const [from, to] = initiator === 1 ? [1, 2] : [2, 1];
      const { lab, hosts } = started;
      await untilReachable(lab, hosts[from - 1].namespace, overlayAddress(to));
      expect(directFlows(started, 1, 2)).to.not.deep.equal([]);
      expect(endpointOf(hosts[1], 1))
        .to.match(/^198\.51\.100\.11:/)
        .and.not.match(/:4242$/);
      expect(endpointOf(hosts[1], 1)).to.not.equal(endpointOf(started.lighthouse, 1));
    });
  }

  it('a host tells its lighthouse at once when its addresses change', async () => {
    const node = { config: { lighthouse: { interval: 3600 } } };
    const { lab, lighthouse, hosts } = await startNet({ lighthouse: {}, hosts: [{ nat: 'restricted', node }] });
    const reported = (): readonly string[] =>
      ask<LighthouseList>(lighthouse, 'lighthouse', 'list').hosts.flatMap((host) => host.reported);
    const first = `${privateAddress(1)}:4242`;
    await until('the first report', () => reported().includes(first));
    await lab.run(hosts[0].namespace, ['ip', 'address', 'add', '192.168.1.77/24', 'dev', 'home0']);
    await until('the new address', () => reported().includes('192.168.1.77:4242'));
    expect(reported()).to.have.members([first, '192.168.1.77:4242']);
    await lab.run(hosts[0].namespace, ['ip', 'address', 'del', '192.168.1.77/24', 'dev', 'home0']);
    await until('the old address to go', () => !reported().includes('192.168.1.77:4242'));
    await lab.run(hosts[0].namespace, ['ip', 'link', 'add', 'wifi0', 'type', 'veth', 'peer', 'name', 'wifi1']);
    await lab.run(hosts[0].namespace, ['ip', 'address', 'add', '172.20.0.5/24', 'dev', 'wifi0']);
    await lab.run(hosts[0].namespace, ['ip', 'link', 'set', 'wifi0', 'up']);
    await until('the address of a new interface', () => reported().includes('172.20.0.5:4242'));
    expect(await ping(lab, hosts[0].namespace, LIGHTHOUSE)).to.deep.include({ received: 3 });
  });

  it('hosts that a killed lighthouse has forgotten are found again through it', async () => {
    const started = await startNet({
      lighthouse: {},
      hosts: [
        { nat: 'restricted', node: {} },
        { nat: 'restricted', node: {} },
      ],
    });
    const { lab, lighthouse, hosts } = started;
    await until('both hosts', () => ask<LighthouseList>(lighthouse, 'lighthouse', 'list').count === 2);
    lighthouse.program.signal('SIGKILL');
    await lighthouse.program.exited;
    await lighthouse.start();
    await untilReachable(lab, hosts[0].namespace, overlayAddress(2));
    expect(directFlows(started, 1, 2)).to.not.deep.equal([]);
  });
});

/** The lines of router `from` that tell of packets from its host to the public endpoint of host `to`. */
function directFlows(net: NatLab, from: number, to: number): string[] {
  return net.flows(from).filter((line) => line.includes(`src=${privateAddress(from)} dst=${publicAddress(to)} `));
}

/** Where a node sends what is for host `to`. */
function endpointOf(node: TestNode, to: number): string | null {
  const { hosts } = ask<HostList>(node, 'hosts');
  return hosts.find((host) => host.primary && host.vpnAddresses[0] === overlayAddress(to))?.endpoint ?? null;
}

function ask<Answer>(node: TestNode, ...words: readonly string[]): Answer {
  const done = weft(...words, '-json', '-socket', node.socketPath);
  expect(done.status, `${words.join(' ')}: ${done.stderr}`).to.equal(0);
  return JSON.parse(done.stdout) as Answer;
}

function weft(...words: readonly string[]): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } {
  return spawnSync(process.execPath, [WEFT_MAIN, ...words], { encoding: 'utf8', timeout: 20_000 });
}
