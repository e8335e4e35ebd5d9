import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CaPool } from '../../../src/primary/pki/caPool.ts';
import { certificateTtlSeconds, ExpiryWatch, isOutsideAll, untilNextLookMs } from '../../../src/primary/pki/expiry.ts';
import { ExpiryReporter } from '../../../src/primary/pki/expiryReporter.ts';
import type { Identity } from '../../../src/primary/pki/identity.ts';
import type { Certificate } from '../../../src/shared/cert/certificate.ts';
import { createLogger } from '../../../src/shared/log/logger.ts';
import { makeCa, makeHost, NOW } from '../../support/certificates.ts';
import { boundaryOver, CollectingLog } from '../../support/collectingLog.ts';
import { Random } from '../../support/random.ts';

const DAY = 86_400;
const random = new Random(365);
const farCa = makeCa(random, { name: 'far ca', notBefore: NOW - 1000 * DAY, notAfter: NOW + 3650 * DAY });

function host(notAfter: number, notBefore: number = NOW): Certificate {
  return makeHost(random, farCa, { notBefore, notAfter }).certificate;
}

function identityOf(certificates: readonly Certificate[], authorities = [farCa.certificate]): Identity {
  const [{ curve, publicKey, networks }] = certificates;
  const privateKey = new Uint8Array(32);
  const caPool = new CaPool(authorities);
  return { curve, publicKey, privateKey, certificates, initiatingVersion: 1, caPool, networks, warnings: [] };
}

/** Asks once an hour, as the node does: the days before `end` at which something was said, and what. */
function story(watch: ExpiryWatch, identity: Identity, from: number, until: number, end: number): string[] {
  const told: string[] = [];
  for (let at = from; at <= until; at += 3600) {
    for (const { level, message } of watch.notices(identity, at)) {
      told.push(`${Math.floor((end - at) / DAY)} ${level} ${message}`);
    }
  }
  return told;
}

describe('the end of certificates', () => {
  it('is told of 30, 7 and 1 days before, and when it has come, each time once', () => {
    const end = NOW + 365 * DAY;
    const told = story(new ExpiryWatch(), identityOf([host(end)]), NOW, end + 5 * DAY, end);
    expect(told).to.deep.equal([
      '30 warn The certificate of this host expires in 30 days or less',
      '7 warn The certificate of this host expires in 7 days or less',
      '1 warn The certificate of this host expires in a day or less',
      '-1 error The certificate of this host has expired',
    ]);
  });

  it('is told of again in its time after a clock that ran ahead was set right', () => {
    const end = NOW + 365 * DAY;
    const watch = new ExpiryWatch();
    const identity = identityOf([host(end)]);
    expect(story(watch, identity, end + DAY, end + 2 * DAY, end)).to.have.length(1);
    expect(story(watch, identity, NOW, end + DAY, end)).to.have.length(4);
  });

  it('is looked at when it comes, and every hour', () => {
    const identity = identityOf([host(NOW + 7000)]);
    expect(untilNextLookMs(identity, NOW * 1000)).to.equal(3_600_000);
    expect(untilNextLookMs(identity, (NOW + 6990) * 1000)).to.equal(11_000);
    expect(new ExpiryWatch().notices(identity, NOW + 7001)[0].message).to.match(/has expired$/);
    expect(untilNextLookMs(identity, (NOW + 7001) * 1000)).to.equal(3_600_000);
  });

  it('is not to be thought of with a clock before the beginning, which is told of', () => {
    const identity = identityOf([host(NOW + 365 * DAY)]);
    const [notice] = new ExpiryWatch().notices(identity, NOW - 900 * DAY);
    expect(notice).to.deep.include({ level: 'error', message: 'The certificate of this host is not valid yet' });
    expect(isOutsideAll(identity, NOW - 900 * DAY)).to.equal(false);
    expect(isOutsideAll(identity, NOW - 1100 * DAY)).to.equal(true);
    expect(isOutsideAll(identity, NOW)).to.equal(false);
  });

  it('is told of in one line when the node starts late, which names the certificate and its end', () => {
    const certificate = host(NOW + 5 * DAY, NOW - 360 * DAY);
    const notices = new ExpiryWatch().notices(identityOf([certificate]), NOW);
    expect(notices).to.deep.equal([
      {
        level: 'warn',
        message: 'The certificate of this host expires in 7 days or less',
        certificate,
        fields: {
          certName: certificate.name,
          certVersion: 1,
          fingerprint: certificate.fingerprint,
          notAfter: '2027-01-20T08:00:00Z',
          ttlSeconds: 5 * DAY,
        },
      },
    ]);
  });

  it('is not told of again after a reload with the same certificate, but for a new one it is', () => {
    const watch = new ExpiryWatch();
    const [old, renewed] = [host(NOW + 2 * DAY, NOW - 363 * DAY), host(NOW + 6 * DAY, NOW - 363 * DAY)];
    expect(watch.notices(identityOf([old]), NOW)).to.have.length(1);
    expect(watch.notices(identityOf([old]), NOW + 10)).to.deep.equal([]);
    expect(watch.notices(identityOf([renewed]), NOW + 20)[0].fields).to.include({ fingerprint: renewed.fingerprint });
    expect(watch.notices(identityOf([renewed]), NOW + 30)).to.deep.equal([]);
  });

  it('spares certificates that are made for less than the span', () => {
    const days = (validityDays: number): string[] => {
      const end = NOW + validityDays * DAY;
      return story(new ExpiryWatch(), identityOf([host(end)]), NOW, end, end).map((line) => line.split(' ')[0]);
    };
    expect(days(31)).to.deep.equal(['30', '7', '1']);
    expect(days(30)).to.deep.equal(['7', '1']);
    expect(days(2)).to.deep.equal(['1']);
    expect(days(1)).to.deep.equal([]);
  });

  it('of a CA is told of, too, but not of one that had ended before the node loaded it', () => {
    const end = NOW + 8 * DAY;
    const ending = makeCa(random, { notBefore: NOW - 400 * DAY, notAfter: end }).certificate;
    const ended = makeCa(random, { notBefore: NOW - 400 * DAY, notAfter: NOW - DAY }).certificate;
    const identity = identityOf([host(NOW + 365 * DAY)], [farCa.certificate, ending, ended]);
    expect(story(new ExpiryWatch(), identity, NOW, end + DAY, end)).to.deep.equal([
      '8 warn A CA certificate expires in 30 days or less',
      '7 warn A CA certificate expires in 7 days or less',
      '1 warn A CA certificate expires in a day or less',
      '-1 warn A CA certificate has expired',
    ]);
  });

  it('is a metric: the seconds until the first of the own certificates ends', () => {
    const identity = identityOf([host(NOW + 500), host(NOW + 300)]);
    expect(certificateTtlSeconds(identity, NOW)).to.equal(300);
    expect(certificateTtlSeconds(identity, NOW + 301)).to.equal(-1);
  });
});

describe('the reporter of ends', () => {
  it('logs at once, and again only what is new when another identity comes', () => {
    const lines: string[] = [];
    const settings = { level: 'info', format: 'text', disableTimestamp: true } as const;
    const log = createLogger({ ...settings, write: (line) => lines.push(line) });
    const reporter = new ExpiryReporter(log, boundaryOver(new CollectingLog()), () => NOW * 1000);
    const old = identityOf([host(NOW + DAY / 2, NOW - 40 * DAY)]);
    try {
      reporter.follow(old);
      reporter.follow(old);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.match(/^level=WARN msg="The certificate of this host expires in a day or less" /);
      reporter.follow(identityOf([host(NOW - 1, NOW - 40 * DAY)]));
      expect(lines).to.have.length(2);
      expect(lines[1]).to.match(/^level=ERROR msg="The certificate of this host has expired" /);
    } finally {
      reporter.close();
    }
  });
});
