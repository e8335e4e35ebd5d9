/** `weft cert sign`: a host's certificate, with a new key or for a public key that the host made. */
import { Curve } from '../../../shared/crypto/curve.ts';
import type { Prefix } from '../../../shared/ip/address.ts';
import { formatCertificate } from '../../pki/certificateFile.ts';
import { parseKey } from '../../pki/keyFile.ts';
import { durationFlag, type FlagValues, stringFlag, uintFlag } from '../flags.ts';
import { commaList, prefixesOf, refuseIpv6, requireText, secondsOf, versionOf } from './arguments.ts';
import { newHostKey } from './hostKey.ts';
import {
  attempt,
  type CertIo,
  CommandError,
  checkStreams,
  readInput,
  refuseOverwriting,
  unixSeconds,
  usageError,
  writeOutput,
} from './io.ts';
import { defineMode, type Mode } from './mode.ts';
import { qrCodePng } from './qrCode.ts';
import { readSigner, type Signer } from './signer.ts';

const FLAGS = {
  'ca-crt': stringFlag('Optional: path to the signing CA cert', 'ca.crt'),
  'ca-key': stringFlag('Optional: path to the signing CA key', 'ca.key'),
  duration: durationFlag(
    'Optional: how long the cert is valid. The default is until 1 second before the CA expires. Units: "s", "m", "h"',
    0,
  ),
  groups: stringFlag('Optional: comma separated list of groups'),
  'in-pub': stringFlag('Optional (if out-key not set): path to read a previously generated public key from'),
  ip: stringFlag('Deprecated, see -networks'),
  name: stringFlag('Required: name of the cert, usually a hostname'),
  networks: stringFlag('Required: comma separated list of addresses with prefix lengths to assign to this cert'),
  'out-crt': stringFlag('Optional: path to write the certificate to (default NAME.crt)'),
  'out-key': stringFlag('Optional (if in-pub not set): path to write the private key to (default NAME.key)'),
  'out-qr': stringFlag('Optional: path to write a QR code image (PNG) of the certificate to'),
  subnets: stringFlag('Deprecated, see -unsafe-networks'),
  'unsafe-networks': stringFlag('Optional: comma separated list of prefixes that this cert can route for'),
  version: uintFlag('Optional: version of the certificate format: 1 or 2. The default is that of the CA cert', 0),
};

export const signMode: Mode = defineMode('sign', 'create and sign a certificate', FLAGS, run);

type SignFlags = FlagValues<typeof FLAGS>;

async function run(flags: SignFlags, io: CertIo): Promise<void> {
  checkFlags(flags);
  const certificatePath = flags['out-crt'] === '' ? `${flags.name}.crt` : flags['out-crt'];
  const keyPath = flags['out-key'] === '' ? `${flags.name}.key` : flags['out-key'];
  const writesKey = flags['in-pub'] === '';
  checkStreams(
    { 'ca-key': flags['ca-key'], 'ca-crt': flags['ca-crt'], 'in-pub': flags['in-pub'] },
    { 'out-key': writesKey ? keyPath : '', 'out-crt': certificatePath, 'out-qr': flags['out-qr'] },
  );
  const signer = await readSigner(io, flags['ca-key'], flags['ca-crt']);
  try {
    const version = flags.version === 0 ? signer.certificate.version : versionOf(flags.version);
    const networks = prefixesOf('networks', flags.networks, 'ip', flags.ip);
    const unsafeNetworks = prefixesOf('unsafe-networks', flags['unsafe-networks'], 'subnets', flags.subnets);
    checkVersion(version, networks, unsafeNetworks);
    const { publicKey, keyFile } = await readOrMakeKey(io, flags, signer);
    refuseOverwriting(certificatePath, 'cert');
    const now = unixSeconds(io);
    const certificate = signer.sign({
      version,
      name: flags.name,
      networks,
      unsafeNetworks,
      groups: commaList(flags.groups),
      notBefore: now,
      notAfter: flags.duration > 0 ? now + secondsOf(flags.duration) : signer.certificate.notAfter - 1,
      isCa: false,
      curve: signer.certificate.curve,
      publicKey,
    });
    const text = formatCertificate(certificate);
    const qrCode = flags['out-qr'] === '' ? null : qrCodePng(text);
    if (keyFile !== null) {
      refuseOverwriting(keyPath, 'key');
      writeOutput(io, keyPath, keyFile, 'out-key', 'new');
      keyFile.fill(0);
    }
    writeOutput(io, certificatePath, text, 'out-crt', 'new');
    if (qrCode !== null) {
      writeOutput(io, flags['out-qr'], qrCode, 'out-qr', 'overwrite');
    }
  } finally {
    signer.wipe();
  }
}

function checkFlags(flags: SignFlags): void {
  requireText('ca-key', flags['ca-key']);
  requireText('ca-crt', flags['ca-crt']);
  requireText('name', flags.name);
  if (flags['in-pub'] !== '' && flags['out-key'] !== '') {
    throw usageError('cannot set both -in-pub and -out-key');
  }
  if (flags.networks === '' && flags.ip === '') {
    throw usageError('-networks is required');
  }
  if (flags.version !== 0) {
    versionOf(flags.version);
  }
}

function checkVersion(version: 1 | 2, networks: readonly Prefix[], unsafeNetworks: readonly Prefix[]): void {
  if (version === 1) {
    if (networks.length !== 1) {
      throw usageError('invalid -networks definition: v1 certificates can only have a single ipv4 address');
    }
    refuseIpv6('networks', networks);
    refuseIpv6('unsafe-networks', unsafeNetworks);
  }
}

/** The host's public key, and the file of the private one when it was made here. */
async function readOrMakeKey(
  io: CertIo,
  flags: SignFlags,
  signer: Signer,
): Promise<{ readonly publicKey: Uint8Array; readonly keyFile: Uint8Array | null }> {
  const { curve } = signer.certificate;
  if (flags['in-pub'] === '') {
    return newHostKey(curve);
  }
  const file = await readInput(io, flags['in-pub'], 'in-pub');
  const key = attempt('error while parsing in-pub', () => parseKey(file, 'host public'));
  if (key.curve !== curve) {
    const name = curve === Curve.P256 ? 'P256' : '25519';
    throw new CommandError(`curve of in-pub does not match ca, which is on ${name}`);
  }
  return { publicKey: key.bytes, keyFile: null };
}
