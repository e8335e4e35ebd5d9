/** `weft cert verify`: is every certificate of a file good now, by these CAs? Silent when it is. */
import { CaPool } from '../../../shared/cert/caPool.ts';
import type { Certificate } from '../../../shared/cert/certificate.ts';
import { CertificateError } from '../../../shared/cert/certificateError.ts';
import { parseCertificates } from '../../../shared/cert/certificateFile.ts';
import { type FlagValues, stringFlag } from '../flags.ts';
import { requireText } from './arguments.ts';
import { type CertIo, CommandError, checkStreams, readInput, unixSeconds } from './io.ts';
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
  const pool = parsed('error while adding ca cert to pool', () => CaPool.fromPem(caFile));
  const file = await readInput(io, flags.crt, 'crt');
  const certificates = parsed('error while parsing crt', () => parseCertificates(file));
  if (certificates.length === 0) {
    throw new CommandError('error while parsing crt: the file is empty');
  }
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

function parsed<Result>(what: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (error instanceof CertificateError) {
      throw new CommandError(`${what}: ${error.reason}`);
    }
    throw error;
  }
}
