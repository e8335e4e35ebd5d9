/** Faults with no tunnel, and the sentences that a node has for each. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RemoteAllowList } from '../../src/primary/control/discovery/allowList.ts';
import { type TroubleFacts, troubleTexts } from '../../src/primary/control/tunnels/troubleTexts.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { ep, ip } from '../support/addresses.ts';
import { TestAuthority } from '../support/testAuthority.ts';
import { type Names, SimDiscovery } from './simDiscovery.ts';
import type { SimNode } from './simNode.ts';
import { type NodeWishes, World } from './world.ts';

const OPEN_POLICY = { allowList: RemoteAllowList.all, preferredRanges: [] };
const LIGHTHOUSE = '10.42.0.9';

/** What a node says about a host that it does not reach; empty when it has nothing to say. */
function textsOf(world: World, node: SimNode, address: string): readonly string[] {
  const { control, remotes, options } = node;
  const trouble = control.troubles.of(address);
  const facts: TroubleFacts = {
    troubles: control.troubles,
    remotes,
    amLighthouse: options.settings.amLighthouse,
    lighthouses: options.settings.lighthouses,
    hasTunnel: (other) => control.primary(other) !== null,
  };
  return trouble === null ? [] : troubleTexts(trouble, facts, world.nowMs);
}

function loneNode(wishes: NodeWishes = {}): { world: World; a: SimNode } {
  const world = new World(40);
  return { world, a: world.addNode('alpha', wishes) };
}

/** Asks for the host and lets the handshake use up its tries. */
function ask(world: World, node: SimNode, address: string): void {
  node.sendOverlay(world.nowOf(node), ip(address), 'hello');
  world.run(12_000);
}

function pair(first: NodeWishes, second: NodeWishes): { world: World; a: SimNode; b: SimNode } {
  const world = new World(41);
  const a = world.addNode('alpha', first);
  const b = world.addNode('beta', second);
  world.introduceAll();
  return { world, a, b };
}

function reasonsLogged(node: SimNode): string[] {
  return node.logs('Handshake timed out').map((line) => (line.kind === 'log' ? String(line.fields.reason) : ''));
}

describe('simulation: why a host is not reached', () => {
  it('a lighthouse that is down, a blocked or a wrong port: who has not answered, for how long, and in the log', () => {
    const { world, a } = loneNode({ settings: { lighthouses: [ip(LIGHTHOUSE)] } });
    a.addStaticHost(ip(LIGHTHOUSE), ep('192.0.2.99:4242'));
    ask(world, a, LIGHTHOUSE);
    expect(textsOf(world, a, LIGHTHOUSE)).to.deep.equal(['no answer from 192.0.2.99:4242 for 12 s (10 attempts)']);
    expect(reasonsLogged(a)).to.deep.equal(['no answer from 192.0.2.99:4242 for 5 s (10 attempts)']);
    ask(world, a, '10.42.0.50');
    expect(textsOf(world, a, '10.42.0.50')).to.deep.equal([
      `no lighthouse is reached (${LIGHTHOUSE}), so nobody can say where it is`,
    ]);
    ask(world, a, LIGHTHOUSE);
    expect(textsOf(world, a, LIGHTHOUSE)).to.deep.equal(['no answer from 192.0.2.99:4242 for 36 s (20 attempts)']);
  });

  it('a name that cannot be resolved, until it can', () => {
    const names: Names = new Map();
    const staticHosts = { [LIGHTHOUSE]: ['lh.example:4242'] };
    const { world, a } = loneNode({
      settings: { lighthouses: [ip(LIGHTHOUSE)] },
      companion: (node) =>
        new SimDiscovery(node, { names, amLighthouse: false, staticHosts, lighthouses: [LIGHTHOUSE] }),
    });
    world.run(1000);
    expect(textsOf(world, a, LIGHTHOUSE).join()).to.match(/^the name "lh\.example" cannot be resolved: ./);
    names.set('lh.example', [ip('192.0.2.77')]);
    world.run(60_000);
    expect(textsOf(world, a, LIGHTHOUSE).join()).to.match(/^no answer from 192\.0\.2\.77:4242 for /);
  });

  it('no lighthouse is configured', () => {
    const { world, a } = loneNode();
    ask(world, a, '10.42.0.50');
    expect(textsOf(world, a, '10.42.0.50')).to.deep.equal([
      'no lighthouse is configured (lighthouse.hosts), and static_host_map does not name it',
    ]);
  });

  it('a lighthouse asks for a host of which it has heard nothing', () => {
    const { world, a } = loneNode({ settings: { amLighthouse: true } });
    ask(world, a, '10.42.0.50');
    expect(textsOf(world, a, '10.42.0.50')).to.deep.equal(['it has not told this lighthouse where it is']);
  });

  it('a host that could be reached by relays only', () => {
    const { world, a } = loneNode({ settings: { lighthouses: [ip(LIGHTHOUSE)] } });
    a.remotes.report(ip(LIGHTHOUSE), ip('10.42.0.50'), [], [ip('10.42.0.7')]);
    ask(world, a, '10.42.0.50');
    expect(textsOf(world, a, '10.42.0.50')).to.deep.equal([
      'its lighthouse names only relays (10.42.0.7); relays are not supported yet',
    ]);
  });

  it('a foreign CA: the one that is called says it of the caller, and of the host when it calls itself', () => {
    const foreign = new TestAuthority(99).identity('beta', ['10.42.0.2/24']);
    const { world, a, b } = pair({}, { identity: foreign });
    ask(world, a, '10.42.0.2');
    expect(textsOf(world, a, '10.42.0.2').join()).to.match(/^no answer from 192\.0\.2\.2:4242 for 12 s/);
    const [caller] = b.control.troubles.callers();
    expect(caller).to.deep.include({ endpoint: a.endpoint, count: 10 });
    expect(caller.reason).to.match(/^could not find ca for the certificate/);
    ask(world, b, '10.42.0.1');
    expect(textsOf(world, b, '10.42.0.1')[0]).to.match(
      /^its own handshakes from 192\.0\.2\.1:4242 are refused here: could not find ca for the certificate/,
    );
  });

  it('a blocklisted host: its answers are refused', () => {
    const { world, a, b } = pair({}, {});
    const [{ fingerprint }] = b.identity.certificates;
    a.reloadIdentity(world.now, { ...a.identity, caPool: world.authority.pool([fingerprint]) });
    ask(world, a, '10.42.0.2');
    expect(textsOf(world, a, '10.42.0.2')[0]).to.match(
      /^\d+ answers from 192\.0\.2\.2:4242 were refused: certificate is in the block list$/,
    );
    expect(reasonsLogged(a)[0]).to.include('certificate is in the block list');
  });

  it('another cipher: answers that cannot be decrypted', () => {
    const { world, a } = pair({ cipher: Cipher.Aes256Gcm }, { cipher: Cipher.ChaCha20Poly1305 });
    ask(world, a, '10.42.0.2');
    expect(textsOf(world, a, '10.42.0.2')).to.have.length(1);
    expect(textsOf(world, a, '10.42.0.2')[0]).to.match(
      /^\d+ answers from 192\.0\.2\.2:4242 could not be decrypted: does `cipher` differ\?$/,
    );
  });

  it('a clock that is three years ahead: the certificates are found expired, with their times', () => {
    const { world, a, b } = pair({}, {});
    a.clockErrorMs = 30 * 365 * 86_400_000;
    ask(world, b, '10.42.0.1');
    expect(a.control.troubles.callers()[0].reason).to.match(/^(root )?certificate is expired: .*valid from .* until /);
  });

  it('another host at its endpoint, and this node itself', () => {
    const world = new World(42);
    const a = world.addNode('alpha');
    const b = world.addNode('beta');
    a.addStaticHost(ip('10.42.0.50'), b.endpoint);
    ask(world, a, '10.42.0.50');
    expect(textsOf(world, a, '10.42.0.50')).to.include('another host answers at 192.0.2.2:4242: "beta" (10.42.0.2)');
  });

  it('no route: what the kernel says, for as long as it does', () => {
    const { world, a, b } = pair({}, {});
    b.isUp = false;
    ask(world, a, '10.42.0.2');
    expect(a.control.troubles.notSent(world.nowMs, b.endpoint, 'network is unreachable (ENETUNREACH)')).to.equal(1);
    expect(textsOf(world, a, '10.42.0.2')).to.deep.equal([
      'cannot send to 192.0.2.2:4242: network is unreachable (ENETUNREACH)',
    ]);
    ask(world, a, '10.42.0.2');
    expect(textsOf(world, a, '10.42.0.2').join()).to.match(/^no answer from 192\.0\.2\.2:4242/);
  });

  it('endpoints that an allow list forbids', () => {
    const { world, a } = loneNode({ settings: { lighthouses: [ip(LIGHTHOUSE)] } });
    const ownNetworks = a.identity.networks;
    a.remotes.applyPolicy({ ...OPEN_POLICY, ownNetworks });
    a.remotes.report(ip(LIGHTHOUSE), ip('10.42.0.50'), [ep('10.42.0.1:4242')], []);
    ask(world, a, '10.42.0.50');
    expect(textsOf(world, a, '10.42.0.50').join()).to.match(/^its endpoints 10\.42\.0\.1:4242 may not be used/);
  });

  it('is forgotten once the host is reached', () => {
    const { world, a, b } = pair({}, {});
    b.isUp = false;
    ask(world, a, '10.42.0.2');
    expect(a.control.troubles.all()).to.have.length(1);
    b.isUp = true;
    ask(world, a, '10.42.0.2');
    expect(a.control.primary(b.vpnAddress)).not.to.equal(null);
    expect(a.control.troubles.all()).to.deep.equal([]);
  });

  it('costs a bounded memory, of which strangers cannot have more than a few callers', () => {
    const { world, a } = loneNode();
    const { troubles } = a.control;
    for (let n = 0; n < 5000; n++) {
      const stranger = ep(`198.51.${n >> 8}.${n & 255}:4242`);
      troubles.callRefused(world.now, stranger, 'junk');
      troubles.answerRefused(world.now, ip('10.42.9.9'), stranger, 'refused', 'junk');
    }
    expect(troubles.callers()).to.have.length(16);
    expect(troubles.all()).to.deep.equal([]);
    for (let n = 0; n < 5000; n++) {
      troubles.attempted(world.now, ip(`10.43.${n >> 8}.${n & 255}`), []);
      troubles.notSent(world.nowMs, ep(`198.51.${n >> 8}.${n & 255}:1`), 'no route');
    }
    expect(troubles.all()).to.have.length(1024);
    expect(troubles.unsent(ep('198.51.0.0:1'))).to.equal(null);
  });
});
