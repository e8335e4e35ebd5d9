/**
 * Certificates, authorities and blocklists change while nodes run and a connection is in use: what is replaced keeps its
 * connections, what is withdrawn loses them, and what is faulty changes nothing.
 */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { CertifiedPair, filesOf, NETWORKS, reload } from '../support/certifiedPair.ts';
import { requireLab } from '../support/environment.ts';
import { ownDirectory } from '../support/ownDirectory.ts';
import { RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { bundle, fingerprintOf, type HostKey, WeftPki } from '../support/weftPki.ts';
import { CountedStream } from './countedStream.ts';
import { StallWatch } from './stalls.ts';

const REHANDSHAKE = /Re-handshaking with remote.*local certificate is not current/;
const TORN_DOWN = /no longer valid, tearing down the tunnel.*block list/;
/** Of whatever is awaited and makes no claim about time. */
const DEADLINE_MS = 30_000;
/** At least two checks. */
const CHECKS_RECORDS = 440;

describe('certificates in the running node', function () {
  this.timeout(180_000);
  let certified: CertifiedPair;
  let remove = (): void => undefined;
  let directory: string;
  let pki: WeftPki;
  let left: HostKey;
  let right: HostKey;
  let leftCert: string;
  let rightCert: string;

  before(function () {
    requireLab(this, 'ping', 'nebula-cert');
    [directory, remove] = ownDirectory('weft-certificates-');
    pki = new WeftPki(directory, 'first');
    [left, right] = [pki.key('left'), pki.key('right')];
    leftCert = pki.certify(left, { networks: NETWORKS.left });
    rightCert = pki.certify(right, { networks: NETWORKS.right });
  });
  after(() => remove());
  afterEach(() => {
    certified?.close();
  });

  /** Both nodes up and a counted connection between them. */
  async function startStream(rightPath: string = rightCert, leftPath: string = leftCert): Promise<CountedStream> {
    certified = new CertifiedPair();
    await certified.start({ files: filesOf(pki.ca, left, leftPath) }, { files: filesOf(pki.ca, right, rightPath) });
    const { lab, left: from, right: to } = certified.pair;
    return CountedStream.start(lab, from.namespace, to.namespace, RIGHT);
  }

  async function expectUnbroken(stream: CountedStream): Promise<void> {
    const { sent, echoed, longestGapMs, fault } = await stream.finish();
    expect(fault, 'fault of the connection').to.equal(undefined);
    expect(echoed).to.equal(sent);
    expect(longestGapMs).to.be.lessThan(3000);
  }

  it('a renewed certificate, then one for a new key, replace the tunnel under a connection that does not notice', async () => {
    const inPlace = join(directory, 'left.crt');
    copyFileSync(leftCert, inPlace);
    const stream = await startStream(rightCert, inPlace);
    const { left: a, right: b } = certified.pair;
    copyFileSync(pki.certify(left, { networks: NETWORKS.left, groups: 'renewed', duration: '24h' }), inPlace);
    const newKey = pki.key('left');
    const renewals = [
      filesOf(pki.ca, left, inPlace),
      filesOf(pki.ca, newKey, pki.certify(newKey, { networks: NETWORKS.left })),
    ];
    for (const files of renewals) {
      const seen = b.lines.length;
      const mark = reload(a, { pki: files });
      await a.program.waitForLine(REHANDSHAKE, DEADLINE_MS, mark);
      const met = await b.program.waitForLine(/Handshake message received/, DEADLINE_MS, seen);
      expect(met).to.include(fingerprintOf(files.cert));
      await stream.advance(CHECKS_RECORDS);
      expect(
        a.lines.slice(mark).filter((line) => REHANDSHAKE.test(line)),
        'one new tunnel',
      ).to.have.length(1);
    }
    await expectUnbroken(stream);
  });

  it('an authority is replaced with an overlap, and no connection is lost', async () => {
    const stream = await startStream();
    const { left: a, right: b } = certified.pair;
    const second = new WeftPki(directory, 'second');
    const both = bundle(join(directory, 'both.crt'), pki.ca, second.ca);
    const steps = [
      [filesOf(both, left, leftCert), filesOf(both, right, rightCert)],
      [
        filesOf(both, left, second.certify(left, { networks: NETWORKS.left })),
        filesOf(both, right, second.certify(right, { networks: NETWORKS.right })),
      ],
    ] as const;
    const [leftFiles, rightFiles] = steps[1];
    for (const [step, [forLeft, forRight]] of steps.entries()) {
      const marks = [reload(a, { pki: forLeft }), reload(b, { pki: forRight })];
      await a.program.waitForLine(/Configuration reloaded/, DEADLINE_MS, marks[0]);
      await b.program.waitForLine(/Configuration reloaded/, DEADLINE_MS, marks[1]);
      if (step === 1) {
        await a.program.waitForLine(new RegExp(`Handshake message received.*${fingerprintOf(forRight.cert)}`));
        await b.program.waitForLine(new RegExp(`Handshake message received.*${fingerprintOf(forLeft.cert)}`));
      }
      await stream.advance(CHECKS_RECORDS);
    }
    const marks = [
      reload(a, { pki: { ...leftFiles, ca: second.ca } }),
      reload(b, { pki: { ...rightFiles, ca: second.ca } }),
    ];
    await a.program.waitForLine(/Configuration reloaded/, DEADLINE_MS, marks[0]);
    await b.program.waitForLine(/Configuration reloaded/, DEADLINE_MS, marks[1]);
    await stream.advance(CHECKS_RECORDS);
    await expectUnbroken(stream);
    expect(a.handshakes(marks[0]) + b.handshakes(marks[1]), 'handshakes after the old authority went').to.equal(0);
  });

  it('a blocklisted peer is cut off within one check interval and not let in again', async () => {
    await startStream();
    const { lab, left: a, right: b } = certified.pair;
    const stalls = new StallWatch();
    const mark = reload(a, { pki: { blocklist: [fingerprintOf(rightCert)], disconnect_invalid: false } });
    const reloaded = await a.program.waitForLine(/Configuration reloaded/, DEADLINE_MS, mark);
    const cutOff = await a.program.waitForLine(TORN_DOWN, DEADLINE_MS, mark);
    stalls.stop();
    const ms = loggedMs(cutOff) - loggedMs(reloaded);
    expect(ms - stalls.mostWithin(ms)).to.be.lessThan(1500);
    expect((await ping(lab, b.namespace, '10.86.0.1', { count: 2, patienceSeconds: 1 })).received).to.equal(0);
    await a.program.waitForLine(/Handshake (refused|failed).*block list/, DEADLINE_MS, mark);
    expect(a.handshakes(mark)).to.equal(0);
  });

  it('a peer whose certificate ends is cut off', async () => {
    const brief = pki.certify(right, { networks: NETWORKS.right, duration: '20s' });
    await startStream(brief);
    const { lab, left: a, right: b } = certified.pair;
    await a.program.waitForLine(/no longer valid, tearing down the tunnel.*certificate is expired/, 60_000);
    expect((await ping(lab, a.namespace, RIGHT, { count: 2, patienceSeconds: 1 })).received).to.equal(0);
    reload(b, { pki: { cert: rightCert } });
    await untilReachable(lab, a.namespace, RIGHT);
  });

  it('a reload that cannot be followed leaves the identity in force and says why', async () => {
    const stream = await startStream();
    const { lab, left: a, right: b } = certified.pair;
    const mark = a.lines.length;
    const garbage = join(directory, 'garbage.crt');
    writeFileSync(
      garbage,
      '-----BEGIN NEBULA CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END NEBULA CERTIFICATE-----\n',
    );
    const stranger = new WeftPki(directory, 'stranger');
    const faults = [
      { pki: { cert: garbage }, reason: /pki\.cert.*garbage\.crt/ },
      { pki: { ca: garbage }, reason: /pki\.ca.*garbage\.crt/ },
      { pki: { key: right.key }, reason: /pki\.key.*private key is not a pair with public key/ },
      {
        pki: { cert: pki.certify(left, { networks: '10.86.0.7/24' }) },
        reason: /networks of the v2 host certificate can not change.*10\.86\.0\.1\/24 would become 10\.86\.0\.7\/24/,
      },
      { pki: { ca: stranger.ca, cert: pki.ca }, reason: /host certificate is a CA certificate/ },
    ];
    for (const { pki: changes, reason } of faults) {
      const from = reload(a, { pki: changes });
      await a.program.waitForLine(reason, DEADLINE_MS, from);
    }
    await stream.advance(CHECKS_RECORDS);
    await expectUnbroken(stream);
    expect(a.lines.slice(mark).filter((line) => REHANDSHAKE.test(line))).to.deep.equal([]);
    await b.restart();
    await untilReachable(lab, a.namespace, RIGHT);
    const met = await b.program.waitForLine(/Handshake message received/);
    expect(met).to.include(fingerprintOf(leftCert));
  });
});

/** When a node wrote a line of its log. */
function loggedMs(line: string): number {
  return Date.parse(/time=(\S+)/.exec(line)?.[1] ?? '');
}
