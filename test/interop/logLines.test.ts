/**
 * Lines of the log that docs/operations.md calls Nebula's: both programs in the same situations, line by line. Where 1.6.1
 * has another name for a field than later releases, the table has both.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import type { NodeKind, TestNode } from '../support/nodes.ts';
import { Pair, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';

const ABSENT = '10.86.0.9';

interface Line {
  readonly text: string;
  /** Of 1.6.1 and of weft. */
  readonly fields: readonly (readonly [nebula: string, weft: string])[];
}

const same = (...names: readonly string[]): readonly (readonly [string, string])[] =>
  names.map((name) => [name, name] as const);

/** In their order, as the one who begins the handshake has them. */
const LINES: readonly Line[] = [
  { text: 'Firewall started', fields: [['firewallHash', 'firewallHashes']] },
  {
    text: 'Handshake message sent',
    fields: [['vpnIp', 'vpnAddrs'], ...same('udpAddrs', 'initiatorIndex', 'handshake')],
  },
  {
    text: 'Handshake message received',
    fields: [
      ['vpnIp', 'vpnAddrs'],
      ['udpAddr', 'from'],
      ...same('certName', 'fingerprint', 'issuer', 'initiatorIndex', 'responderIndex', 'handshake', 'durationNs'),
    ],
  },
  {
    text: 'Handshake timed out',
    fields: [['vpnIp', 'vpnAddrs'], ...same('udpAddrs', 'initiatorIndex', 'handshake', 'durationNs')],
  },
  { text: 'Close tunnel received, tearing down.', fields: [['vpnIp', 'vpnAddrs'], ...same('certName', 'udpAddr')] },
  { text: 'Caught signal, shutting down', fields: same('signal') },
  { text: 'Goodbye', fields: [] },
];

type Parsed = Readonly<Record<string, unknown>>;

describe('lines of the log, in nebula 1.6.1 and in weft', function () {
  this.timeout(90_000);
  let pair: Pair | null = null;

  before(function () {
    requireLab(this, 'nebula', 'nebula-cert', 'ping');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  /** What a node of this kind logs that begins a handshake, waits in vain for another, loses its peer and ends. */
  async function linesOf(left: NodeKind): Promise<readonly Parsed[]> {
    const config = { logging: { level: 'info', format: 'json' }, handshakes: { try_interval: '100ms', retries: 3 } };
    const staticHosts = { [RIGHT]: ['192.0.2.2:4242'], [ABSENT]: ['192.0.2.9:4242'] };
    pair = new Pair({ left: { kind: left, config, staticHosts }, right: { kind: 'nebula' } });
    const { lab, left: node, right } = pair;
    await pair.start();
    await untilReachable(lab, node.namespace, RIGHT);
    await ping(lab, node.namespace, ABSENT, { count: 1, patienceSeconds: 1 });
    await until('the handshake to time out', () => has(node, 'Handshake timed out'));
    right.program.signal('SIGTERM');
    await until('the tunnel to be closed', () => has(node, 'Close tunnel received'));
    await node.stop();
    const lines = node.lines.map((line) => JSON.parse(line) as Parsed);
    pair.close();
    pair = null;
    return lines;
  }

  it('have the same texts and fields', async () => {
    const [nebula, weft] = [await linesOf('nebula'), await linesOf('weft')];
    for (const { text, fields } of LINES) {
      const [theirs, ours] = [nebula, weft].map((lines) => lines.find(({ msg }) => msg === text));
      expect(theirs, `nebula: ${text}`).to.be.an('object');
      expect(ours, `weft: ${text}`).to.be.an('object');
      for (const [theirName, ourName] of fields) {
        expect(theirs, `nebula: ${text}`).to.have.property(theirName);
        expect(ours, `weft: ${text}`).to.have.property(ourName);
      }
    }
    const received = (lines: readonly Parsed[]) => lines.find(({ msg }) => msg === 'Handshake message received');
    for (const line of [received(nebula), received(weft)]) {
      expect(line?.handshake).to.deep.equal({ stage: 2, style: 'ix_psk0' });
      expect(Number.isInteger(line?.durationNs), 'whole nanoseconds').to.equal(true);
    }
  });
});

function has(node: TestNode, text: string): boolean {
  return node.lines.some((line) => line.includes(text));
}
