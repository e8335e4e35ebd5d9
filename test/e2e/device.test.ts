/** The device of a running node and what the machine around it does: names, routes, links that go and come. */
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import {
  type ConfigTree,
  type NodeOptions,
  OVERLAY_DEVICE,
  TestNode,
  UNDERLAY_PORT,
  WEFT_MAIN,
} from '../support/nodes.ts';
import type { NodeFiles } from '../support/pki.ts';
import { WeftPki } from '../support/weftPki.ts';

describe('the device of a node', function () {
  this.timeout(60_000);
  let lab: Lab;
  let host: Namespace;
  let pki: WeftPki;

  before(function () {
    requireLab(this, 'ip');
  });
  beforeEach(() => {
    lab = new Lab('t');
    host = lab.namespace('host');
    pki = new WeftPki(lab.directory, 'ca');
  });
  afterEach(() => {
    lab.close();
  });

  function filesFor(networks: string): NodeFiles {
    const host = pki.key('node');
    return { ca: pki.ca, key: host.key, cert: pki.certify(host, { networks }) };
  }

  function nodeWith(config: ConfigTree, wishes: Partial<NodeOptions> = {}): TestNode {
    const files = wishes.files ?? filesFor('10.86.0.1/24,fd86::1/64');
    return new TestNode(lab, host, { kind: 'weft', label: 'node', ...wishes, files, config });
  }

  it('gives its name to the control socket when the kernel chose it', async () => {
    const unnamed = { tun: { dev: undefined }, api: { socket: undefined } };
    const second = { label: 'second', files: filesFor('10.87.0.1/24'), port: UNDERLAY_PORT + 1 };
    const nodes = [nodeWith(unnamed), nodeWith(unnamed, second)];
    for (const node of nodes) {
      await node.launch().waitForLine(/weft is up/);
    }
    for (const device of ['tun0', 'tun1']) {
      const asked = await lab.run(host, [process.execPath, WEFT_MAIN, 'status', '-socket', `/run/weft/${device}.sock`]);
      expect(asked.stdout, asked.lines.join('\n')).to.include(device);
    }
  });

  /** What `ip` says, a line each. */
  async function ip(...words: readonly string[]): Promise<string[]> {
    const { code, lines } = await lab.run(host, ['ip', ...words]);
    expect(code, `ip ${words.join(' ')}: ${lines.join(' ')}`).to.equal(0);
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  }

  async function setIpv6Off(where: string, value: 0 | 1): Promise<void> {
    const path = `/proc/sys/net/ipv6/conf/${where}/disable_ipv6`;
    expect((await lab.run(host, ['sh', '-c', `echo ${value} > ${path}`])).code).to.equal(0);
  }

  /** Reloads with changes and returns what was logged until that was done. */
  async function reloaded(
    node: TestNode,
    changes: ConfigTree,
    done: RegExp = /Configuration reloaded/,
  ): Promise<string> {
    const mark = node.lines.length;
    node.writeConfig(changes);
    node.program.signal('SIGHUP');
    await node.program.waitForLine(done, 20_000, mark);
    return node.lines.slice(mark).join('\n');
  }

  /** A machine on two networks: 192.168.7.0/24 with the default route, and the bridge of some containers. */
  async function plugIn(): Promise<void> {
    const world = lab.namespace('world');
    lab.cable({ namespace: host, addresses: ['192.168.7.2/24'] }, { namespace: world, addresses: ['192.168.7.1/24'] });
    await ip('route', 'add', 'default', 'via', '192.168.7.1');
    await ip('link', 'add', 'docker0', 'type', 'bridge');
    await ip('addr', 'add', '172.17.0.1/16', 'dev', 'docker0');
    await ip('link', 'set', 'docker0', 'up');
  }

  const unsafe = (...routes: readonly string[]): ConfigTree => ({
    tun: { unsafe_routes: routes.map((route) => ({ route, via: '10.86.0.2' })) },
  });

  it('ends the node with one line when it is deleted', async () => {
    const node = nodeWith({});
    await node.start();
    const mark = node.lines.length;
    await ip('link', 'delete', OVERLAY_DEVICE);
    expect(await node.program.exited).to.deep.equal({ code: 1, signal: null });
    const said = node.lines.slice(mark);
    expect(said.filter((line) => line === 'weft cannot go on: the device overlay0 was deleted')).to.have.length(1);
    expect(said.filter((line) => line.includes('Worker died')).length, 'no loop of dying workers').to.be.lessThan(3);
  });

  it('gets its addresses and routes back after it was set down and up', async () => {
    const node = nodeWith(unsafe('172.30.0.0/16', 'fd99::/48'));
    await node.start();
    const state = async (): Promise<string[]> => [
      ...(await ip('-o', 'addr', 'show', 'dev', OVERLAY_DEVICE)).map((line) => line.replace(/^\d+: /, '')),
      ...(await ip('route', 'show', 'dev', OVERLAY_DEVICE)),
      ...(await ip('-6', 'route', 'show', 'dev', OVERLAY_DEVICE)),
    ];
    const before = await state();
    expect(before.join(' ')).to.include('172.30.0.0/16').and.to.include('fd99::/48').and.to.include('fd86::1/64');
    const mark = node.lines.length;
    await ip('link', 'set', OVERLAY_DEVICE, 'down');
    await node.program.waitForLine(/set down by somebody/, 20_000, mark);
    expect(await reloaded(node, { tun: { mtu: 1320 } })).to.include('device');
    await ip('link', 'set', OVERLAY_DEVICE, 'up');
    await node.program.waitForLine(/is up again/, 20_000, mark);
    await until('everything to be back', async () => (await state()).join('\n') === before.join('\n'));
  });

  it('works for IPv4 when IPv6 is switched off, with one warning, and for both when it is on again', async () => {
    await setIpv6Off('all', 1);
    await setIpv6Off('default', 1);
    const node = nodeWith(unsafe('172.30.0.0/16', 'fd99::/48'));
    await node.start();
    expect((await ip('route', 'show', 'dev', OVERLAY_DEVICE)).join())
      .to.include('10.86.0.0/24')
      .and.to.include('172.30.0.0/16');
    expect(node.lines.filter((line) => /IPv6/.test(line) && /WARN/.test(line))).to.have.length(1);
    await reloaded(node, { tun: { mtu: 1400 } });
    await setIpv6Off(OVERLAY_DEVICE, 0);
    await ip('link', 'set', OVERLAY_DEVICE, 'down');
    await ip('link', 'set', OVERLAY_DEVICE, 'up');
    await until('the IPv6 address', async () =>
      (await ip('-6', 'addr', 'show', OVERLAY_DEVICE)).join().includes('fd86::1/64'),
    );
  });

  it('survives reloads that the kernel refuses, and IPv6 that goes away meanwhile', async () => {
    const node = nodeWith({ tun: { mtu: 1400 } });
    await node.start();
    expect((await ip('link', 'show', OVERLAY_DEVICE))[0]).to.include('mtu 1400');
    expect(await reloaded(node, { tun: { mtu: 1250 } }, /stays in force/)).to.match(/1250 is too small/);
    expect((await ip('link', 'show', OVERLAY_DEVICE))[0]).to.include('mtu 1400');
    await setIpv6Off(OVERLAY_DEVICE, 1);
    expect(await reloaded(node, { tun: { mtu: 1390, ...(unsafe('fd99::/48')['tun'] as object) } })).to.include(
      'device',
    );
    expect((await ip('link', 'show', OVERLAY_DEVICE))[0]).to.include('mtu 1390');
    await ip('link', 'set', OVERLAY_DEVICE, 'mtu', '1000');
    expect(await reloaded(node, { tun: { mtu: 1380 } })).to.include('device');
    expect(node.program.status).to.equal(null);
  });

  it('never replaces a route that stands, names it, and leaves nothing behind', async () => {
    await plugIn();
    const before = await ip('route', 'show');
    const node = nodeWith(unsafe('0.0.0.0/0', '192.168.7.0/24', '172.17.0.0/16'));
    await node.start();
    const during = await ip('route', 'show');
    expect(during).to.include.members(before);
    const ours = (await ip('route', 'show', 'dev', OVERLAY_DEVICE)).map((line) =>
      line.replace(/ scope link| proto static|/g, ''),
    );
    expect(ours.join('\n'))
      .to.match(/default metric 1/)
      .and.match(/192\.168\.7\.0\/24 metric 1/)
      .and.match(/172\.17\.0\.0\/16 metric 1/);
    for (const [route, device] of [
      ['0.0.0.0/0', 'cable0'],
      ['192.168.7.0/24', 'cable0'],
      ['172.17.0.0/16', 'docker0'],
    ]) {
      const told = node.lines.filter((line) => line.includes('stands already') && line.includes(`route=${route}`));
      expect(told, route).to.have.length(1);
      expect(told[0]).to.include(device);
    }
    expect((await ip('route', 'get', '192.168.7.77')).join()).to.include('cable0');
    await ip('addr', 'add', '172.31.0.1/24', 'dev', 'docker0');
    await reloaded(node, unsafe('172.31.0.0/24'));
    expect((await ip('route', 'get', '172.31.0.9')).join()).to.include('docker0');
    await node.stop();
    await until('the device to be gone', async () => !(await node.hasDevice()));
    expect((await ip('route', 'show')).filter((line) => !line.startsWith('172.31'))).to.deep.equal(before);
  });

  it('makes way for a network that the machine joins later', async () => {
    await plugIn();
    const node = nodeWith(unsafe('192.168.9.0/24'));
    await node.start();
    expect((await ip('route', 'get', '192.168.9.9')).join()).to.include(OVERLAY_DEVICE);
    await ip('addr', 'add', '192.168.9.1/24', 'dev', 'docker0');
    await until('the LAN to be preferred', async () =>
      (await ip('route', 'get', '192.168.9.9')).join().includes('docker0'),
    );
    await ip('addr', 'del', '192.168.9.1/24', 'dev', 'docker0');
    await until('the unsafe route again', async () =>
      (await ip('route', 'show', '192.168.9.0/24')).join().endsWith(`dev ${OVERLAY_DEVICE} proto static scope link`),
    );
  });
});
