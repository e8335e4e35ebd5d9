import { expect } from 'chai';
import { describe, it } from 'mocha';
import { AnswerFault } from '../../../src/primary/control/tunnels/hostTroubles.ts';
import { unreachedReason } from '../../../src/primary/inspection/reachability.ts';
import { hostList, nodeStatus } from '../../../src/primary/inspection/status.ts';
import { ep, ip } from '../../support/addresses.ts';
import { InspectedNode } from '../inspectedNode.ts';

const LIGHTHOUSE = '10.0.0.9';
const withLighthouse = {
  static_host_map: { [LIGHTHOUSE]: ['lh.example:4242'] },
  lighthouse: { hosts: [LIGHTHOUSE] },
};

/** So many seconds before the moment at which the node is asked. */
function ago(node: InspectedNode, seconds: number): { ms: number; unixMs: number } {
  const { ms, unixMs } = node.clock();
  return { ms: ms - seconds * 1000, unixMs: unixMs - seconds * 1000 };
}

function healthOf(node: InspectedNode): string[] {
  const { state, health } = nodeStatus(node);
  expect(state).to.equal(health.length === 0 ? 'ok' : 'degraded');
  return health.map(({ kind, text }) => `${kind}: ${text}`);
}

describe('what a node does not reach', () => {
  it('is a reason to call it degraded when it is a lighthouse, whatever tunnels there are', () => {
    const node = new InspectedNode(withLighthouse);
    node.connect({ name: 'laptop', networks: ['10.0.0.2/24'] }, '192.0.2.2:4242', 77);
    node.troubles.attempted(ago(node, 12), ip(LIGHTHOUSE), [ep('192.0.2.9:4242')]);
    expect(healthOf(node)).to.deep.equal([
      'lighthouse: the lighthouse 10.0.0.9 is not reached: no answer from 192.0.2.9:4242 for 12 s (one attempt); ' +
        'next attempt with the next update',
    ]);
    const nextAttemptMs = node.clock().ms + 2500;
    node.pending.push({ address: ip(LIGHTHOUSE), localIndex: 1, attemptCount: 1, endpoints: [], nextAttemptMs });
    expect(healthOf(node)[0]).to.match(/; next attempt in 3 s$/);
  });

  it('is none in the first second', () => {
    const node = new InspectedNode(withLighthouse);
    node.troubles.attempted(ago(node, 0.5), ip(LIGHTHOUSE), [ep('192.0.2.9:4242')]);
    expect(healthOf(node)).to.deep.equal([]);
  });

  it('is one for a name that cannot be resolved', () => {
    const node = new InspectedNode(withLighthouse);
    node.remotes.applyStaticHosts([ip(LIGHTHOUSE)]);
    node.remotes.noteUnresolved(ip(LIGHTHOUSE), [{ host: 'lh.example', error: 'getaddrinfo ENOTFOUND lh.example' }]);
    const words = 'the name "lh.example" cannot be resolved: getaddrinfo ENOTFOUND lh.example';
    expect(healthOf(node)).to.deep.equal([`name: static_host_map: ${words}`]);
    node.troubles.attempted(ago(node, 3), ip(LIGHTHOUSE), []);
    expect(healthOf(node)).to.deep.equal([
      `lighthouse: the lighthouse 10.0.0.9 is not reached: ${words}; next attempt with the next update`,
    ]);
  });

  it('is one for any host when there is no tunnel at all, for a minute after it was asked for', () => {
    const node = new InspectedNode();
    for (let last = 2; last <= 6; last++) {
      node.troubles.attempted(ago(node, 30), ip(`10.0.0.${last}`), [ep(`192.0.2.${last}:4242`)]);
    }
    node.troubles.attempted(ago(node, 61), ip('10.0.0.7'), []);
    node.troubles.callRefused(ago(node, 5), ep('192.0.2.8:4242'), 'certificate is in the block list');
    const texts = healthOf(node);
    expect(texts).to.have.length(5);
    expect(texts[0]).to.match(/^host: the host 10\.0\.0\.6 is not reached: no answer from 192\.0\.2\.6:4242 for 30 s/);
    expect(texts[3]).to.equal('host: 2 more hosts are not reached: weft hosts');
    expect(texts[4]).to.equal('host: handshakes from 192.0.2.8:4242 are refused: certificate is in the block list');
    node.connect({ name: 'laptop', networks: ['10.0.0.20/24'] }, '192.0.2.20:4242', 77);
    expect(healthOf(node)).to.deep.equal([]);
  });

  it('stands in the list of hosts and in the answer to why, lighthouses first', () => {
    const node = new InspectedNode(withLighthouse);
    node.troubles.attempted(ago(node, 9), ip(LIGHTHOUSE), []);
    node.troubles.attempted(ago(node, 5), ip('10.0.0.5'), [ep('192.0.2.5:4242')]);
    node.troubles.attempted(ago(node, 4), ip('10.0.0.5'), [ep('192.0.2.5:4242')]);
    const { fault, reason } = { fault: AnswerFault.Unreadable, reason: 'message 2 is not authentic' };
    node.troubles.answerRefused(ago(node, 4), ip('10.0.0.5'), ep('192.0.2.5:4242'), fault, reason);
    node.troubles.callRefused(ago(node, 2), ep('192.0.2.8:4242'), 'could not find ca for the certificate');
    const { unreached, refused } = hostList(node);
    expect(unreached.map(({ vpnAddress, lighthouse }) => [vpnAddress, lighthouse])).to.deep.equal([
      [LIGHTHOUSE, true],
      ['10.0.0.5', false],
    ]);
    const words = 'one answer from 192.0.2.5:4242 could not be decrypted: does `cipher` differ?';
    expect(unreached[1]).to.deep.include({ seconds: 5, attempts: 2, nextAttemptSeconds: null, reasons: [words] });
    expect(refused).to.deep.equal([
      {
        endpoint: '192.0.2.8:4242',
        reason: 'could not find ca for the certificate',
        count: 1,
        secondsAgo: 2,
      },
    ]);
    expect(unreachedReason(node, '10.0.0.5')).to.equal(`${words}; next attempt with this packet`);
    expect(unreachedReason(node, '10.0.0.6')).to.equal(null);
  });

  it('is not said of hosts alone when the own certificate or the clock is the cause', () => {
    const node = new InspectedNode();
    const { unixMs } = node.clock();
    node.troubles.attempted(ago(node, 5), ip('10.0.0.5'), [ep('192.0.2.5:4242')]);
    const at = (days: number): string[] => {
      const moment = { ...node.clock(), unixMs: unixMs + days * 86_400_000 };
      return healthOf(Object.defineProperty(node, 'clock', { value: () => moment }));
    };
    const expired = at(11);
    expect(expired.join('\n')).to.match(/^certificate: The certificate of this host has expired: "me"/m);
    expect(expired.join('\n')).to.include(
      "is not reached: this host's own certificate has expired, so others refuse it;",
    );
    const early = at(-3 * 365 * 10);
    expect(early[0]).to.match(/^clock: no certificate is valid at .*: is this machine's clock right\?$/);
    expect(early.join('\n')).to.include('certificate is not valid yet');
  });
});
