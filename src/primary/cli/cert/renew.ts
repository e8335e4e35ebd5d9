/**
 * `weft cert renew`: the same certificates with a new validity, and under a new CA if one is given. Key, name, networks,
 * groups and version stay, so nothing on the host changes but this file. Made for scripts: with -within it does nothing
 * until the end is near, and the file is replaced at once, never half written.
 */

import type { Certificate } from '../../../shared/cert/certificate.ts';
import { CaPool } from '../../pki/caPool.ts';
import { formatCertificate, parseCertificates } from '../../pki/certificateFile.ts';
import { signatureCheckOf } from '../../pki/signing.ts';
import { durationFlag, type FlagValues, stringFlag } from '../flags.ts';
import { readCertificates, requireText, secondsOf } from './arguments.ts';
import {
  attempt,
  type CertIo,
  CommandError,
  checkStreams,
  readInput,
  unixSeconds,
  usageError,
  writeOutput,
} from './io.ts';
import { defineMode, type Mode } from './mode.ts';
import { readSigner } from './signer.ts';

const FLAGS = {
  ca: stringFlag(
    'Optional: path to CA certs that may have signed the old certificate, besides -ca-crt. Needed to move to a new CA',
  ),
  'ca-crt': stringFlag('Optional: path to the signing CA cert', 'ca.crt'),
  'ca-key': stringFlag('Optional: path to the signing CA key', 'ca.key'),
  crt: stringFlag('Required: path to the certificate, or a v1 and a v2 certificate, to renew'),
  duration: durationFlag(
    'Optional: how long the new cert is valid. The default is until 1 second before the CA expires. Units: "s", "m", "h"',
    0,
  ),
  'out-crt': stringFlag('Optional: path to write the new certificate to. The default is -crt, which is replaced'),
  within: durationFlag(
    'Optional: do nothing while every certificate in the file is valid for longer than this. Units: "s", "m", "h"',
    0,
  ),
};

export const renewMode: Mode = defineMode(
  'renew',
  'sign a certificate again: same key and names, new validity',
  FLAGS,
  run,
);

async function run(flags: FlagValues<typeof FLAGS>, io: CertIo): Promise<void> {
  requireText('crt', flags.crt);
  requireText('ca-crt', flags['ca-crt']);
  requireText('ca-key', flags['ca-key']);
  if (flags.duration < 0 || flags.within < 0) {
    throw usageError('-duration and -within can not be negative');
  }
  checkStreams({ 'ca-key': flags['ca-key'], 'ca-crt': flags['ca-crt'], crt: flags.crt, ca: flags.ca }, {});
  const old = await readCertificates(io, flags.crt, 'crt');
  const now = unixSeconds(io);
  if (flags.within > 0 && old.every((certificate) => certificate.notAfter - now > secondsOf(flags.within))) {
    return;
  }
  const caFile = flags.ca === '' ? new Uint8Array(0) : await readInput(io, flags.ca, 'ca');
  const trusted = attempt('error while parsing ca', () => parseCertificates(caFile));
  const signer = await readSigner(io, flags['ca-key'], flags['ca-crt']);
  try {
    const authorities = attempt(
      'error while adding ca cert to pool',
      () => new CaPool([signer.certificate, ...trusted]),
    );
    const notAfter = flags.duration > 0 ? now + secondsOf(flags.duration) : signer.certificate.notAfter - 1;
    const renewed = old.map((certificate) => {
      checkOrigin(certificate, authorities);
      return formatCertificate(signer.sign({ ...certificate, notBefore: now, notAfter }));
    });
    const target = flags['out-crt'] === '' ? flags.crt : flags['out-crt'];
    writeOutput(io, target, renewed.join(''), 'out-crt', 'replace');
  } finally {
    signer.wipe();
  }
}

/** Signing whatever lies in the file would let anyone who can write it make certificates. */
function checkOrigin(certificate: Certificate, authorities: CaPool): void {
  const label = `v${certificate.version} "${certificate.name}"`;
  if (certificate.isCa) {
    throw new CommandError(`refusing to renew ${label}: it is a CA certificate`);
  }
  const ca = authorities.find(certificate.issuer);
  if (ca === null) {
    throw new CommandError(
      `refusing to renew ${label}: its issuer ${certificate.issuer} is neither -ca-crt nor in the file of -ca`,
    );
  }
  if (ca.curve !== certificate.curve || !signatureCheckOf(ca)(certificate)) {
    throw new CommandError(`refusing to renew ${label}: its issuer "${ca.name}" did not sign it`);
  }
}
