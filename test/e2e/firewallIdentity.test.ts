/** Certificates decide who may use which address: on the overlay itself, and in the networks behind a gateway. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { NodeCounters } from '../support/firewallCounters.ts';
import { buildFirewallPacket, readFirewallPacket } from '../support/firewallPackets.ts';
import { futile, lively, outcomes, serve } from '../support/firewallProbe.ts';
import { PacketTap } from '../support/firewallTap.ts';
import { type ConfigTree, OVERLAY_DEVICE, TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { LEFT, RIGHT } from '../support/pair.ts';
import { type NodeFiles, Pki } from '../support/pki.ts';
import { quietKernel } from '../support/quietKernel.ts';
import { ping } from '../support/traffic.ts';

const RESEND_MS = 50;
const ANY = { port: 'any', proto: 'any', host: 'any' };

describe('an address of another node', function () {
  this.timeout(60_000);
  const [SPOOFER, TARGET, VICTIM] = ['10.86.0.11', '10.86.0.12', '10.86.0.13'];
  const FLOW = { protocol: 17, sourcePort: 5000, destinationPort: 6000 };
  let lab: Lab;
  let nodes: readonly TestNode[];
  let wide: NodeFiles;
  let taps: PacketTap[] = [];
  let mark = 0;

  before(async function () {
    requireLab(this, 'nebula-cert', 'ip', 'nft');
    lab = new Lab('t');
    const pki = new Pki(lab.directory);
    wide = pki.sign('spoofer-wide', `${SPOOFER}/24`, { unsafeNetworks: [`${VICTIM}/32`] });
    const addresses = [SPOOFER, TARGET, VICTIM];
    const namespaces = ['spoofer', 'target', 'victim'].map((label) => lab.namespace(label));
    lab.lan(namespaces.map((namespace, index) => ({ namespace, addresses: [`192.0.2.${index + 1}/24`] })));
    const endpoints = addresses.map((_, index) => `192.0.2.${index + 1}:${UNDERLAY_PORT}`);
    nodes = addresses.map((address, index) => {
      const others = addresses.flatMap((other, at) => (other === address ? [] : [[other, [endpoints[at]]]]));
      return new TestNode(lab, namespaces[index], {
        kind: 'weft',
        files: pki.sign(namespaces[index].label, `${address}/24`),
        staticHosts: Object.fromEntries(others),
        config: {
          // The spoofer shall keep its tunnel when its own certificate changes.
          timers: { connection_alive_interval: 3600 },
          firewall: { conntrack: { routine_cache_timeout: '20s' } },
        },
      });
    });
    await Promise.all(nodes.map((node) => node.start()));
    await openTaps();
    await settle(0);
    await settle(2);
  });
  after(() => {
    closeTaps();
    lab?.close();
  });

  it('on its live and cached flow is refused: the sender is asked first, whatever the flow', async () => {
    const [spoofer, target] = [new NodeCounters(nodes[0]), new NodeCounters(nodes[1])];
    for (let packet = 0; packet < 3; packet++) {
      expect(await arrives(2, VICTIM)).to.equal(true);
    }
    expect(target.total('CacheHits'), 'packets of a cached flow').to.be.greaterThan(0);
    expect(await arrives(0, SPOOFER)).to.equal(true);
    expect(await arrives(0, VICTIM)).to.equal(false);
    expect(spoofer.total('OutgoingLocalAddress'), 'refused by the own node').to.equal(1);

    // The spoofer's node is now told that the address is its own; what it showed in the handshake stays as it was.
    nodes[0].writeConfig({ pki: wide });
    nodes[0].program.signal('SIGHUP');
    await spoofer.untilRules(2);
    for (const stolen of [VICTIM, VICTIM]) {
      expect(await arrives(0, stolen)).to.equal(false);
    }
    expect(spoofer.total('OutgoingLocalAddress')).to.equal(1);
    expect(target.total('IncomingRemoteAddress'), 'refused by the target').to.equal(2);
    expect(await arrives(2, VICTIM)).to.equal(true);
    spoofer.close();
    target.close();
  });

  it('is accepted from the one whose certificate the other node has seen to have it', async () => {
    await nodes[0].restart({ files: wide });
    await openTaps();
    await settle(0);
    expect(await arrives(0, VICTIM)).to.equal(true);
  });

  /** Sends one datagram with a source address from a node to the target, and behind it honest ones until one arrives. */
  async function arrives(from: number, source: string): Promise<boolean> {
    const packet = { ...FLOW, source, destination: TARGET, mark: ++mark };
    taps[from].send(buildFirewallPacket(packet));
    return (await settle(from)).has(packet.mark);
  }

  /** Sends the same honest datagram from a node to the target until it arrives; returns all marks that did. */
  async function settle(from: number): Promise<Set<number>> {
    const source = from === 0 ? SPOOFER : VICTIM;
    const honest = { ...FLOW, source, destination: TARGET, sourcePort: 5999, mark: ++mark };
    const seen = new Set<number>();
    let nextMs = 0;
    await until(
      'an honest packet to arrive',
      () => {
        if (performance.now() >= nextMs) {
          nextMs = performance.now() + RESEND_MS;
          taps[from].send(buildFirewallPacket(honest));
        }
        for (const bytes of taps[1].take()) {
          seen.add(readFirewallPacket(bytes).mark);
        }
        return seen.has(honest.mark);
      },
      20_000,
      2,
    );
    return seen;
  }

  /** Without addresses on the devices no kernel answers, so every packet is one of ours. */
  async function openTaps(): Promise<void> {
    closeTaps();
    taps = nodes.map(({ namespace }) => new PacketTap(namespace, OVERLAY_DEVICE));
    await Promise.all(nodes.map(({ namespace }) => quietKernel(lab, namespace, OVERLAY_DEVICE)));
  }

  function closeTaps(): void {
    for (const tap of taps.splice(0)) {
      tap.close();
    }
  }
});

describe('a network behind a gateway', function () {
  this.timeout(60_000);
  const NETWORK = '10.99.0.0/24';
  const BEHIND = '10.99.0.2';
  const PORT = 8001;
  const inNetwork = { ...ANY, local_cidr: NETWORK };
  let lab: Lab;
  let left: TestNode;
  let gateway: TestNode;
  let plain: NodeFiles;
  const attempts = [lively('tcp', BEHIND, PORT), lively('udp', BEHIND, PORT)];

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping');
    lab = new Lab('t');
    const pki = new Pki(lab.directory);
    plain = pki.sign('gateway-plain', `${RIGHT}/24`);
    const [a, b, c] = ['left', 'gateway', 'behind'].map((label) => lab.namespace(label));
    lab.cable({ namespace: a, addresses: ['192.0.2.1/24'] }, { namespace: b, addresses: ['192.0.2.2/24'] });
    const inner = { device: 'cable1' };
    lab.cable({ namespace: b, addresses: ['10.99.0.1/24'] }, { namespace: c, addresses: [`${BEHIND}/24`] }, inner);
    await lab.run(b, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    await lab.run(c, ['ip', 'route', 'add', 'default', 'via', '10.99.0.1']);
    left = new TestNode(lab, a, {
      kind: 'weft',
      files: pki.sign('left', `${LEFT}/24`),
      staticHosts: { [RIGHT]: [`192.0.2.2:${UNDERLAY_PORT}`] },
      config: {
        tun: { unsafe_routes: [{ route: NETWORK, via: RIGHT }] },
        firewall: { outbound_action: 'reject' },
      },
    });
    gateway = new TestNode(lab, b, {
      kind: 'weft',
      files: pki.sign('gateway', `${RIGHT}/24`, { unsafeNetworks: [NETWORK] }),
      staticHosts: { [LEFT]: [`192.0.2.1:${UNDERLAY_PORT}`] },
      config: { firewall: { inbound: [ANY, inNetwork], outbound: [ANY, inNetwork] } },
    });
    const plan = { tcp: [PORT], udp: [PORT] };
    await Promise.all([left.start(), gateway.start(), ...[a, b, c].map((namespace) => serve(lab, namespace, plan))]);
  });
  after(() => {
    lab?.close();
  });

  it('is reached, and reaches the overlay, through a gateway whose certificate has it', async () => {
    expect(await outcomes(lab, left.namespace, attempts)).to.deep.equal(['answered', 'answered']);
    expect((await ping(lab, left.namespace, BEHIND)).received).to.equal(3);
    const back = [lively('tcp', LEFT, PORT), lively('udp', LEFT, PORT)];
    expect(await outcomes(lab, behind(), back)).to.deep.equal(['answered', 'answered']);
  });

  it('is closed when no rule of the gateway names it by local_cidr', async () => {
    const counters = new NodeCounters(gateway);
    await reload(gateway, { inbound: [ANY], outbound: [ANY] }, counters);
    expect(await outcomes(lab, left.namespace, [futile('tcp', BEHIND, PORT)])).to.deep.equal(['silence']);
    expect(await outcomes(lab, left.namespace, [lively('tcp', RIGHT, PORT)])).to.deep.equal(['answered']);
    expect(counters.total('IncomingNoRule')).to.be.greaterThan(0);
    counters.close();
  });

  it('is refused in both directions when the certificate of the gateway lacks it', async () => {
    await gateway.restart({ files: plain });
    const attempt = [lively('tcp', RIGHT, PORT)];
    await until(
      'the new tunnel to answer',
      async () => (await outcomes(lab, left.namespace, attempt))[0] === 'answered',
      30_000,
    );
    const [ofLeft, ofGateway] = [new NodeCounters(left), new NodeCounters(gateway)];
    const refused = await outcomes(lab, left.namespace, attempts);
    expect(refused).to.deep.equal(['ECONNREFUSED', 'EHOSTUNREACH']);
    expect(ofLeft.total('OutgoingRemoteAddress')).to.be.greaterThan(0);
    expect(await outcomes(lab, behind(), [futile('tcp', LEFT, PORT)])).to.deep.equal(['silence']);
    expect(ofGateway.total('OutgoingLocalAddress')).to.be.greaterThan(0);
    ofLeft.close();
    ofGateway.close();
  });

  function behind(): { label: string; name: string } {
    return { label: 'behind', name: gateway.namespace.name.replace(/gateway$/, 'behind') };
  }
});

async function reload(node: TestNode, firewall: ConfigTree, counters: NodeCounters): Promise<void> {
  const [version] = counters.read('RulesVersion');
  node.writeConfig({ firewall });
  node.program.signal('SIGHUP');
  await counters.untilRules(version + 1);
}
