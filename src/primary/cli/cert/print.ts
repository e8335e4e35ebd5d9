/**
 * `weft cert print`: the certificates of a file, as a table with the days that are left, or with -json exactly as
 * nebula-cert prints them: one array on one line.
 */

import type { Certificate } from '../../../shared/cert/certificate.ts';
import { timeText } from '../../../shared/cert/rules.ts';
import { isValidAt } from '../../pki/caPool.ts';
import { formatCertificate } from '../../pki/certificateFile.ts';
import { certificateJson, curveText } from '../../pki/certificateJson.ts';
import { boolFlag, type FlagValues, stringFlag } from '../flags.ts';
import { readCertificates, requireText } from './arguments.ts';
import { type CertIo, printable, unixSeconds, writeOutput } from './io.ts';
import { defineMode, type Mode } from './mode.ts';
import { qrCodePng } from './qrCode.ts';

const FLAGS = {
  json: boolFlag("Optional: print nebula-cert's JSON, an array of all certificates on one line"),
  'out-qr': stringFlag('Optional: path to write a QR code image (PNG) of the certificates to; "-" prints nothing else'),
  path: stringFlag('Required: path to the certificate'),
};

export const printMode: Mode = defineMode('print', 'prints details about a certificate', FLAGS, run);

async function run(flags: FlagValues<typeof FLAGS>, io: CertIo): Promise<void> {
  requireText('path', flags.path);
  const certificates = await readCertificates(io, flags.path, 'path', 'certificate');
  if (flags['out-qr'] !== '-') {
    io.stdout.write(
      flags.json ? `[${certificates.map(certificateJson).join(',')}]\n` : tablesOf(certificates, unixSeconds(io)),
    );
  }
  if (flags['out-qr'] !== '') {
    const qrCode = qrCodePng(certificates.map(formatCertificate).join(''));
    writeOutput(io, flags['out-qr'], qrCode, 'out-qr', 'overwrite');
  }
}

function tablesOf(certificates: readonly Certificate[], now: number): string {
  return certificates.map((certificate) => tableOf(certificate, now)).join('\n');
}

function tableOf(certificate: Certificate, now: number): string {
  const rows: readonly (readonly [string, string])[] = [
    ['Name', certificate.name],
    ['Kind', `${certificate.isCa ? 'CA' : 'host'} certificate, version ${certificate.version}`],
    [
      'Networks',
      listText(
        certificate.networks.map((prefix) => prefix.text),
        certificate.isCa,
      ),
    ],
    [
      'Unsafe networks',
      listText(
        certificate.unsafeNetworks.map((prefix) => prefix.text),
        certificate.isCa,
      ),
    ],
    ['Groups', listText(certificate.groups, certificate.isCa)],
    ['Valid from', timeText(certificate.notBefore)],
    ['Valid until', `${timeText(certificate.notAfter)} (${leftText(certificate, now)})`],
    ['Curve', curveText(certificate.curve)],
    ['Issuer', certificate.issuer === '' ? 'none' : certificate.issuer],
    ['Fingerprint', certificate.fingerprint],
    ['Public key', Buffer.from(certificate.publicKey).toString('hex')],
    ['Signature', Buffer.from(certificate.signature).toString('hex')],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows
    .map(([label, value]) => `${label.padEnd(width)}  ${printable(value).replaceAll('\n', '\\u{a}')}\n`)
    .join('');
}

/** A CA's empty list is no limit, a host's is nothing. */
function listText(items: readonly string[], isCa: boolean): string {
  return items.length > 0 ? items.join(', ') : isCa ? 'any' : 'none';
}

function leftText(certificate: Certificate, now: number): string {
  if (isValidAt(certificate, now)) {
    return `${daysText(certificate.notAfter - now)} left`;
  }
  return now < certificate.notBefore
    ? `NOT YET VALID, starts in ${daysText(certificate.notBefore - now)}`
    : `EXPIRED ${daysText(now - certificate.notAfter)} ago`;
}

/** Whole days, or whole hours of less than two days. */
function daysText(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  return hours < 48 ? `${hours} ${hours === 1 ? 'hour' : 'hours'}` : `${Math.floor(hours / 24)} days`;
}
