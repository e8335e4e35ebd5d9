/** All traffic of a machine through another host: the default route is an unsafe route. */
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { type ConfigTree, OVERLAY_DEVICE, TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { ping } from '../support/traffic.ts';
import { WeftPki } from '../support/weftPki.ts';
import { WorkerMetrics } from '../support/workerMetrics.ts';

const LEFT = '10.86.0.1';
const EXIT = '10.86.0.2';
/** Stands for the internet; only the exit can reach it. */
const FAR = '198.51.100.7';

describe('an exit node', function () {
  this.timeout(90_000);
  let lab: Lab;
  let left: Namespace;
  let exit: Namespace;
  let leftNode: TestNode;

  before(function () {
    requireLab(this, 'ip', 'ping');
  });
  beforeEach(async () => {
    lab = new Lab('t');
    left = lab.namespace('left');
    exit = lab.namespace('exit');
    const router = lab.namespace('router');
    lab.cable({ namespace: left, addresses: ['192.0.2.2/30'] }, { namespace: router, addresses: ['192.0.2.1/30'] });
    const device = 'cable1';
    const ends = [['203.0.113.2/30'], ['203.0.113.1/30']];
    lab.cable({ namespace: exit, addresses: ends[0] }, { namespace: router, addresses: ends[1] }, { device });
    await run(router, 'sysctl -qw net.ipv4.ip_forward=1');
    await run(left, 'ip route add default via 192.0.2.1');
    await run(exit, 'ip route add default via 203.0.113.1');
    await run(exit, `ip addr add ${FAR}/32 dev lo`);
  });
  afterEach(() => {
    lab.close();
  });

  async function run(namespace: Namespace, command: string): Promise<string> {
    const { code, stdout } = await lab.run(namespace, command.split(' '));
    expect(code, `${command}: ${stdout}`).to.equal(0);
    return stdout;
  }

  async function startNodes(config: ConfigTree): Promise<void> {
    const pki = new WeftPki(lab.directory, 'ca');
    const node = (
      name: string,
      namespace: Namespace,
      networks: string,
      more: ConfigTree,
      peer: [string, string],
    ): TestNode => {
      const host = pki.key(name);
      const cert = pki.certify(host, { networks, ...(name === 'exit' ? { unsafeNetworks: '0.0.0.0/0' } : {}) });
      const staticHosts = { [peer[0]]: [`${peer[1]}:${UNDERLAY_PORT}`] };
      return new TestNode(lab, namespace, {
        kind: 'weft',
        files: { ca: pki.ca, key: host.key, cert },
        staticHosts,
        config: more,
      });
    };
    const open = { firewall: { default_local_cidr_any: true } };
    leftNode = node('left', left, `${LEFT}/24`, config, [EXIT, '203.0.113.2']);
    await leftNode.start();
    await node('exit', exit, `${EXIT}/24`, open, [LEFT, '192.0.2.2']).start();
  }

  const through = (...routes: readonly string[]): ConfigTree => ({
    unsafe_routes: routes.map((route) => ({ route, via: EXIT })),
  });

  it('carries everything with a mark and a policy rule, and leaves no route', async () => {
    const before = await run(left, 'ip route');
    await run(left, 'ip route add default via 192.0.2.1 table 100');
    await run(left, 'ip rule add fwmark 86 lookup 100');
    await startNodes({ tun: through('0.0.0.0/1', '128.0.0.0/1'), listen: { so_mark: 86 } });
    expect((await ping(lab, left, FAR, { count: 5, patienceSeconds: 10 })).received).to.be.greaterThan(3);
    expect(await run(left, `ip route get ${FAR}`)).to.include(OVERLAY_DEVICE);
    await leftNode.stop();
    await until('the device to be gone', async () => !(await leftNode.hasDevice()));
    expect(await run(left, 'ip route')).to.equal(before);
  });

  it('that lies behind its own route is not dialled there: one line, and no loop', async () => {
    await startNodes({ tun: through('0.0.0.0/1', '128.0.0.0/1') });
    await ping(lab, left, EXIT, { count: 3, patienceSeconds: 1 });
    await ping(lab, left, FAR, { count: 3, patienceSeconds: 1 });
    await leftNode.program.waitForLine(/would send to it through the overlay itself/);
    expect(leftNode.lines.filter((line) => line.includes('through the overlay itself'))).to.have.length(1);
    expect(leftNode.lines.join(' ')).to.include('udpAddr=203.0.113.2:4242');
    expect(leftNode.program.status).to.equal(null);
    await run(left, 'ip route add 203.0.113.2/32 via 192.0.2.1');
    await until(
      'a tunnel, once there is a way',
      async () => (await ping(lab, left, FAR, { count: 1 })).received === 1,
      30_000,
    );
  });

  it('whose underlay gets behind its own route while the tunnel stands starts no loop', async () => {
    await run(left, 'ip route add 203.0.113.2/32 via 192.0.2.1');
    await startNodes({ tun: through('0.0.0.0/1', '128.0.0.0/1') });
    expect((await ping(lab, left, FAR, { count: 3, patienceSeconds: 10 })).received).to.be.greaterThan(1);
    await run(left, 'ip route del 203.0.113.2/32');
    expect((await ping(lab, left, FAR, { count: 3, patienceSeconds: 1 })).received).to.equal(0);
    const metrics = new WorkerMetrics(leftNode.program.pid);
    expect(metrics.read('drop.tx.own_datagram')[0]).to.be.within(1, 100);
    metrics.close();
  });
});
