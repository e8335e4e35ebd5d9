/** `weft cert verify`: is every certificate of a file good now, by these CAs? Silent when it is. */

import type { Certificate } from '../../../shared/cert/certificate.ts';
import { CaPool } from '../../pki/caPool.ts';
import { type FlagValues, stringFlag } from '../flags.ts';
import { readCertificates, requireText } from './arguments.ts';
import { attempt, type CertIo, CommandError, checkStreams, readInput, unixSeconds } from './io.ts';
import { defineMode, type Mode } from './mode.ts';

const FLAGS = {
  ca: stringFlag('Required: path to a file containing one or more ca certificates'),
  crt: stringFlag('Required: path to a file containing one or more certificates'),
};

export const verifyMode: Mode = defineMode(
  'verify',
  "verifies a certificate isn't expired and was signed by a trusted authority.",
  FLAGS,
  run,
);

async function run(flags: FlagValues<typeof FLAGS>, io: CertIo): Promise<void> {
  requireText('ca', flags.ca);
  requireText('crt', flags.crt);
  checkStreams({ ca: flags.ca, crt: flags.crt }, {});
  const caFile = await readInput(io, flags.ca, 'ca');
  const pool = attempt('error while adding ca cert to pool', () => CaPool.fromPem(caFile));
  const certificates = await readCertificates(io, flags.crt, 'crt');
  const now = unixSeconds(io);
  const faults = certificates.map((certificate) => faultOf(pool, certificate, now)).filter((fault) => fault !== '');
  if (faults.length > 0) {
    throw new CommandError(faults.join('\n'));
  }
}

function faultOf(pool: CaPool, certificate: Certificate, now: number): string {
  const verdict = pool.verify(certificate, now);
  if ('ca' in verdict) {
    return '';
  }
  const issuer = certificate.issuer === '' ? 'none' : certificate.issuer;
  const detail = verdict.detail === '' ? '' : ` (${verdict.detail})`;
  return (
    `error while verifying certificate v${certificate.version} ${certificate.name} with issuer ${issuer}: ` +
    `${verdict.fault}${detail}`
  );
}
