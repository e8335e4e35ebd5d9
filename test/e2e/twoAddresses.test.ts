/**
 * A machine with several underlay addresses answers from the one that was asked, whichever the kernel would choose: a
 * stateful filter on the way lets nothing else through.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { Lab } from '../../src/primary/cli/demo/lab.ts';
import { requireLab } from '../support/environment.ts';
import { TestNode, UNDERLAY_PORT } from '../support/nodes.ts';
import { ping, stream } from '../support/traffic.ts';
import { WeftPki } from '../support/weftPki.ts';

const CLIENT = '10.86.0.1';
const SERVER = '10.86.0.2';

const UNDERLAYS = {
  4: { client: '192.0.2.1/24', server: ['192.0.2.2/24', '192.0.2.22/24'], asked: '192.0.2.22', any: '0.0.0.0' },
  6: { client: '2001:db8::1/64', server: ['2001:db8::2/64', '2001:db8::22/64'], asked: '[2001:db8::2]', any: '::' },
  mapped: { client: '192.0.2.1/24', server: ['192.0.2.2/24', '192.0.2.22/24'], asked: '192.0.2.22', any: '::' },
} as const;

describe('a machine with two underlay addresses', function () {
  this.timeout(60_000);
  let lab: Lab | null = null;

  before(function () {
    requireLab(this, 'ip', 'ping', 'iperf3');
  });
  afterEach(() => {
    lab?.close();
    lab = null;
  });

  for (const [name, { client, server, asked, any }] of Object.entries(UNDERLAYS)) {
    it(`answers and sends from the one that was asked (${name})`, async () => {
      const started = new Lab('t');
      lab = started;
      const [left, right] = [started.namespace('client'), started.namespace('server')];
      started.cable({ namespace: left, addresses: [client] }, { namespace: right, addresses: server });
      const pki = new WeftPki(started.directory, 'ca');
      const node = (label: 'client' | 'server', networks: string, peers: Record<string, string[]>): TestNode => {
        const host = pki.key(label);
        const files = { ca: pki.ca, key: host.key, cert: pki.certify(host, { networks }) };
        const namespace = label === 'client' ? left : right;
        return new TestNode(started, namespace, {
          kind: 'weft',
          files,
          staticHosts: peers,
          listenHost: any,
          routines: 2,
        });
      };
      const clientNode = node('client', `${CLIENT}/24`, { [SERVER]: [`${asked}:${UNDERLAY_PORT}`] });
      const serverNode = node('server', `${SERVER}/24`, {});
      await clientNode.start();
      await serverNode.start();
      expect((await ping(started, left, SERVER, { count: 3, patienceSeconds: 10 })).received).to.equal(3);
      for (const [from, to, address] of [
        [left, right, SERVER],
        [right, left, CLIENT],
      ] as const) {
        const { bitsPerSecond } = await stream(started, from, to, address, { seconds: 1 });
        expect(bitsPerSecond, 'with joined and cut datagrams').to.be.greaterThan(50_000_000);
      }
      const answers = clientNode.lines.filter((line) => line.includes('Handshake message received'));
      expect(answers).to.have.length(1);
      expect(answers[0]).to.include(`${asked}:${UNDERLAY_PORT}`);
      const lines = clientNode.lines.join('\n');
      expect(lines).not.to.match(/roamed/);
      // The address goes: the kernel chooses again, and the tunnel stays.
      const gone = asked.replace(/[[\]]/g, '');
      const width = gone.includes(':') ? 64 : 24;
      await started.run(right, ['ip', 'addr', 'del', `${gone}/${width}`, 'dev', 'cable0']);
      expect((await ping(started, right, CLIENT, { count: 3, patienceSeconds: 5 })).received).to.be.greaterThan(0);
    });
  }
});
