/** Certificates of both versions and both curves, made by `weft cert`, carry IPv4 and IPv6 between two nodes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { CertifiedPair, filesOf, LEFT_6, NETWORKS, RIGHT_6, reload } from '../support/certifiedPair.ts';
import { requireLab } from '../support/environment.ts';
import { expectDatagrams } from '../support/expectDatagrams.ts';
import type { ConfigTree } from '../support/nodes.ts';
import { LEFT, RIGHT } from '../support/pair.ts';
import type { NodeFiles } from '../support/pki.ts';
import { ping, stream, untilReachable } from '../support/traffic.ts';
import { bundle, type HostKey, WeftPki } from '../support/weftPki.ts';
import { CountedStream } from './countedStream.ts';

type Versions = '1' | '2' | '1+2';

/** Certificates of one curve, each made once: starting `weft cert` costs more than what it does. */
class Wardrobe {
  readonly #pki: WeftPki;
  readonly #keys: { readonly left: HostKey; readonly right: HostKey };
  readonly #certificates = new Map<string, string>();

  constructor(directory: string, curve: '25519' | 'P256', caVersion: 1 | 2) {
    this.#pki = new WeftPki(directory, `authority-${curve}`, { curve, version: caVersion });
    this.#keys = { left: this.#pki.key('left'), right: this.#pki.key('right') };
  }

  files(name: 'left' | 'right', versions: Versions): NodeFiles {
    const certificates = versions.split('+').map((version) => this.#certificate(name, version === '1' ? 1 : 2));
    const path = join(this.#pki.directory, `${name}-${versions}.crt`);
    return filesOf(this.#pki.ca, this.#keys[name], bundle(path, ...certificates));
  }

  #certificate(name: 'left' | 'right', version: 1 | 2): string {
    const known = this.#certificates.get(`${name}${version}`);
    const networks = version === 1 ? NETWORKS[name] : NETWORKS[`${name}Both`];
    const path = known ?? this.#pki.certify(this.#keys[name], { networks, version });
    this.#certificates.set(`${name}${version}`, path);
    return path;
  }
}

describe('certificates of both versions and curves', function () {
  this.timeout(120_000);
  let certified: CertifiedPair | null = null;
  let directory = '';
  const wardrobes = new Map<string, Wardrobe>();

  before(function () {
    requireLab(this, 'iperf3', 'ping', 'nebula-cert');
    directory = mkdtempSync(join(tmpdir(), 'weft-wardrobe-'));
  });
  afterEach(() => {
    certified?.close();
    certified = null;
  });
  after(() => {
    if (directory !== '') {
      rmSync(directory, { recursive: true });
    }
  });

  function wardrobe(curve: '25519' | 'P256'): Wardrobe {
    // A CA of either version may sign certificates of both.
    const found = wardrobes.get(curve) ?? new Wardrobe(directory, curve, curve === 'P256' ? 1 : 2);
    wardrobes.set(curve, found);
    return found;
  }

  async function start(
    underlay: 4 | 6,
    curve: '25519' | 'P256',
    versions: { readonly left: Versions; readonly right: Versions },
    config: ConfigTree = {},
  ): Promise<CertifiedPair> {
    const clothes = wardrobe(curve);
    const started = new CertifiedPair({ underlay });
    certified = started;
    const [left, right] = [clothes.files('left', versions.left), clothes.files('right', versions.right)];
    await started.start({ files: left, config }, { files: right });
    return started;
  }

  /** Pings both ways, TCP and UDP. */
  async function expectTraffic({ pair }: CertifiedPair, toLeft: string, toRight: string): Promise<void> {
    const { lab, left, right } = pair;
    const first = await ping(lab, left.namespace, toRight, { count: 1, patienceSeconds: 10 });
    expect(first.received, 'the packet that started the handshake').to.equal(1);
    expect((await ping(lab, right.namespace, toLeft)).received).to.equal(3);
    const tcp = await stream(lab, left.namespace, right.namespace, toRight, { seconds: 1 });
    expect(tcp.bitsPerSecond, 'TCP').to.be.greaterThan(10_000_000);
    await expectDatagrams(lab, { from: right, to: left, address: toLeft, bitsPerSecond: 8_000_000 });
  }

  for (const underlay of [4, 6] as const) {
    it(`v2 on curve 25519 carries IPv6 and IPv4 over an IPv${underlay} underlay`, async () => {
      const started = await start(underlay, '25519', { left: '2', right: '2' });
      const { lab, left, right } = started.pair;
      await expectTraffic(started, LEFT_6, RIGHT_6);
      if (underlay === 4) {
        await expectTraffic(started, LEFT, RIGHT);
      }
      expect((await ping(lab, right.namespace, LEFT)).received).to.equal(3);
      expect(left.handshakes() + right.handshakes(), 'one tunnel for both families').to.equal(2);
    });
  }

  for (const version of ['1', '2'] as const) {
    it(`v${version} on curve P256 carries IPv4${version === '2' ? ' and IPv6' : ''}`, async () => {
      const started = await start(4, 'P256', { left: version, right: version });
      await expectTraffic(started, LEFT, RIGHT);
      if (version === '2') {
        expect((await ping(started.pair.lab, started.pair.left.namespace, RIGHT_6)).received).to.equal(3);
      }
    });
  }

  it('a node with both versions answers each peer in its own', async () => {
    for (const version of ['1', '2'] as const) {
      const started = await start(4, '25519', { left: '1+2', right: version });
      const { lab, left, right } = started.pair;
      await untilReachable(lab, right.namespace, LEFT);
      const met = new RegExp(`Handshake message received.*certName=left certVersion=${version}`);
      await right.program.waitForLine(met);
      expect((await ping(lab, left.namespace, RIGHT)).received).to.equal(3);
      if (version === '2') {
        expect((await ping(lab, left.namespace, RIGHT_6)).received).to.equal(3);
      }
      started.close();
    }
  });

  it('a tunnel begun with v1 is made anew with v2 when the peer has shown v2', async () => {
    const started = await start(4, '25519', { left: '1+2', right: '2' }, { pki: { initiating_version: 1 } });
    const { lab, left, right } = started.pair;
    await untilReachable(lab, left.namespace, RIGHT);
    await right.program.waitForLine(/Handshake message received.*certName=left certVersion=1/);
    const pinging = ping(lab, left.namespace, RIGHT, { count: 100, intervalMs: 40 });
    await left.program.waitForLine(/Re-handshaking with remote.*local certificate version lower than peer/);
    await right.program.waitForLine(/Handshake message received.*certName=left certVersion=2/);
    expect((await pinging).received).to.be.greaterThan(97);
    expect((await ping(lab, right.namespace, LEFT_6)).received).to.equal(3);
  });

  it('a node that gets its v2 certificate while it runs has IPv6 from then on', async () => {
    const started = await start(4, '25519', { left: '1', right: '1' });
    const { lab, left, right } = started.pair;
    await untilReachable(lab, left.namespace, RIGHT);
    const stream = await CountedStream.start(lab, left.namespace, right.namespace, RIGHT);
    for (const [name, node] of [
      ['left', left],
      ['right', right],
    ] as const) {
      const mark = reload(node, { pki: wardrobe('25519').files(name, '1+2') });
      await node.program.waitForLine(/Configuration reloaded/, 30_000, mark);
    }
    await untilReachable(lab, left.namespace, RIGHT_6);
    expect((await ping(lab, right.namespace, LEFT_6)).received).to.equal(3);
    const { sent, echoed } = await stream.finish();
    expect(echoed).to.equal(sent);
  });
});
