/** `dig` asks a lighthouse for its hosts, from the machine itself and through the overlay, and follows its reloads. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Namespace } from '../../src/primary/cli/demo/lab.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { filesOf } from '../support/certifiedPair.ts';
import { requireLab } from '../support/environment.ts';
import { LIGHTHOUSE, NatLab, overlayAddress } from '../support/natLab.ts';
import { untilReachable } from '../support/traffic.ts';
import { WeftPki } from '../support/weftPki.ts';

const LIGHTHOUSE_6 = 'fd87::100';
const HOST_6 = 'fd87::1';
const DNS = { am_lighthouse: true, serve_dns: true };

interface Answer {
  /** NOERROR, NXDOMAIN; null when nobody answered. */
  readonly status: string | null;
  /** Data of the answers. */
  readonly data: readonly string[];
}

describe('DNS of a lighthouse', function () {
  this.timeout(120_000);
  let net: NatLab;

  before(async function () {
    requireLab(this, 'nebula-cert', 'ping', 'nft', 'dig');
    net = new NatLab({ lighthouse: {}, hosts: [{ nat: 'restricted', node: {} }] });
    const pki = new WeftPki(net.lab.directory, 'both');
    const filesFor = (name: string, networks: string) => {
      const key = pki.key(name);
      return filesOf(pki.ca, key, pki.certify(key, { networks }));
    };
    const dns = { ...DNS, dns: { host: '', port: 53 } };
    await net.lighthouse.start({
      files: filesFor('Lighthouse.Test', `${LIGHTHOUSE}/24,${LIGHTHOUSE_6}/64`),
      config: { lighthouse: dns },
    });
    await net.hosts[0].start({ files: filesFor('Host-1.Test', `${overlayAddress(1)}/24,${HOST_6}/64`) });
    await untilReachable(net.lab, net.hosts[0].namespace, LIGHTHOUSE);
    await net.lighthouse.program.waitForLine(/DNS server is up/);
  });
  after(() => net?.close());

  async function dig(from: Namespace, server: string, ...words: readonly string[]): Promise<Answer> {
    const options = ['+noall', '+comments', '+answer', '+time=5', '+tries=3'];
    const { stdout } = await net.lab.run(from, ['dig', `@${server}`, ...options, ...words]);
    const data = stdout.split('\n').flatMap((line) => /^[^;]\S*\s+\d+\s+IN\s+\w+\s+(.*)$/.exec(line)?.[1] ?? []);
    return { status: /status: (\w+)/.exec(stdout)?.[1] ?? null, data };
  }

  for (const transport of ['+notcp', '+tcp']) {
    it(`answers A and AAAA for hosts and for itself (${transport})`, async () => {
      const ask = (...words: readonly string[]): Promise<Answer> =>
        dig(net.lighthouse.namespace, '127.0.0.1', transport, ...words);
      expect(await ask('host-1.test', 'A')).to.deep.equal({ status: 'NOERROR', data: [overlayAddress(1)] });
      expect(await ask('HOST-1.TEST', 'AAAA')).to.deep.equal({ status: 'NOERROR', data: [HOST_6] });
      expect(await ask('lighthouse.test', 'A')).to.deep.equal({ status: 'NOERROR', data: [LIGHTHOUSE] });
      expect(await ask('lighthouse.test', 'AAAA')).to.deep.equal({ status: 'NOERROR', data: [LIGHTHOUSE_6] });
      expect(await ask('nobody.test', 'A')).to.deep.equal({ status: 'NXDOMAIN', data: [] });
      for (const type of ['MX', 'HTTPS', 'SRV', 'CAA', 'NS', 'SOA', 'TXT']) {
        expect(await ask('host-1.test', type), type).to.deep.equal({ status: 'NOERROR', data: [] });
        expect(await ask('nobody.test', type), type).to.deep.equal({ status: 'NXDOMAIN', data: [] });
      }
    });
  }

  it('shows certificates to its own machine only', async () => {
    const own = await dig(net.lighthouse.namespace, '127.0.0.1', '+tcp', overlayAddress(1), 'TXT');
    expect(own.status).to.equal('NOERROR');
    const json = JSON.parse(own.data[0].replaceAll('" "', '').slice(1, -1).replaceAll('\\"', '"'));
    expect(JSON.stringify(json)).to.include('"Host-1.Test"');
    const self = await dig(net.lighthouse.namespace, LIGHTHOUSE, '+tcp', LIGHTHOUSE, 'TXT');
    expect(self.data.join()).to.include('Lighthouse.Test');
    const stranger = await dig(net.hosts[0].namespace, LIGHTHOUSE, overlayAddress(1), 'TXT');
    expect(stranger).to.deep.equal({ status: 'NOERROR', data: [] });
  });

  it('answers through the overlay, over both families', async () => {
    for (const server of [LIGHTHOUSE, LIGHTHOUSE_6]) {
      const answer = await dig(net.hosts[0].namespace, server, 'host-1.test', 'A');
      expect(answer, server).to.deep.equal({ status: 'NOERROR', data: [overlayAddress(1)] });
    }
  });

  it('follows reloads: another port, off, on again with what is known', async () => {
    const { lighthouse } = net;
    const ask = (...words: readonly string[]): Promise<Answer> => dig(lighthouse.namespace, LIGHTHOUSE, ...words);
    const reload = async (settings: { readonly [key: string]: unknown }): Promise<void> => {
      const mark = lighthouse.lines.length;
      lighthouse.writeConfig({ lighthouse: settings });
      lighthouse.program.signal('SIGHUP');
      await lighthouse.program.waitForLine(/Configuration reloaded/, 30_000, mark);
    };
    await reload({ ...DNS, dns: { host: LIGHTHOUSE, port: 5300 } });
    await until('the new port', async () => (await ask('-p', '5300', 'host-1.test')).status === 'NOERROR');
    expect((await ask('host-1.test')).status, 'the old port').to.equal(null);
    await reload({ ...DNS, serve_dns: false });
    await until('the end of DNS', async () => (await ask('-p', '5300', 'host-1.test')).status === null);
    await reload({ ...DNS, dns: { host: '[::]', port: 53 } });
    await until('DNS to be on again', async () => (await ask('host-1.test')).status !== null);
    expect(await ask('host-1.test', 'AAAA')).to.deep.equal({ status: 'NOERROR', data: [HOST_6] });
    expect(await ask('lighthouse.test', 'A')).to.deep.equal({ status: 'NOERROR', data: [LIGHTHOUSE] });
  });
});
