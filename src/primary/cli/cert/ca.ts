/** `weft cert ca`: a new key and its self-signed certificate. */
import { randomBytes } from 'node:crypto';
import { Curve } from '../../../shared/crypto/curve.ts';
import { generateKeyPair } from '../../../shared/crypto/dh.ts';
import { ed25519KeyPair } from '../../../shared/crypto/ed25519.ts';
import { errorText } from '../../../shared/log/errorText.ts';
import { ARGON2_MEMORY_KIB_MAX, type Argon2Parameters } from '../../pki/argon2.ts';
import { formatCertificate } from '../../pki/certificateFile.ts';
import { type CurveKey, formatEncryptedKey, formatKey } from '../../pki/keyFile.ts';
import { signCertificate } from '../../pki/signing.ts';
import { boolFlag, durationFlag, type FlagValues, stringFlag, uintFlag } from '../flags.ts';
import { commaList, curveOf, prefixesOf, refuseIpv6, requireText, secondsOf, versionOf } from './arguments.ts';
import {
  attempt,
  type CertIo,
  CommandError,
  checkStreams,
  refuseOverwriting,
  unixSeconds,
  usageError,
  writeOutput,
} from './io.ts';
import { defineMode, type Mode } from './mode.ts';
import { readPassphrase } from './passphrase.ts';
import { qrCodePng } from './qrCode.ts';

const YEAR_MS = 8760 * 3_600_000;

const FLAGS = {
  'argon-iterations': uintFlag('Optional: Argon2 iterations used for encrypted private key passphrase', 1),
  'argon-memory': uintFlag('Optional: Argon2 memory (in KiB) used for encrypted private key passphrase', 2_097_152),
  'argon-parallelism': uintFlag('Optional: Argon2 parallelism used for encrypted private key passphrase', 4),
  curve: stringFlag('EdDSA/ECDSA curve: 25519 or P256', '25519'),
  duration: durationFlag('Optional: how long the certificate is valid. Units: "s", "m", "h"', YEAR_MS),
  encrypt: boolFlag('Optional: encrypt the private key with a passphrase (asked for, or from NEBULA_CA_PASSPHRASE)'),
  groups: stringFlag('Optional: comma separated list of groups. Limits which groups certificates signed by it can use'),
  ips: stringFlag('Deprecated, see -networks'),
  name: stringFlag('Required: name of the certificate authority'),
  networks: stringFlag(
    'Optional: comma separated list of addresses with prefix lengths. Limits the networks of certificates signed by it',
  ),
  'out-crt': stringFlag('Optional: path to write the certificate to', 'ca.crt'),
  'out-key': stringFlag('Optional: path to write the private key to', 'ca.key'),
  'out-qr': stringFlag('Optional: path to write a QR code image (PNG) of the certificate to'),
  subnets: stringFlag('Deprecated, see -unsafe-networks'),
  'unsafe-networks': stringFlag(
    'Optional: comma separated list of prefixes. Limits the unsafe networks of certificates signed by it',
  ),
  version: uintFlag('Optional: version of the certificate format: 1 or 2', 2),
};

export const caMode: Mode = defineMode('ca', 'create a self signed certificate authority', FLAGS, run);

async function run(flags: FlagValues<typeof FLAGS>, io: CertIo): Promise<void> {
  requireText('name', flags.name);
  requireText('out-key', flags['out-key']);
  requireText('out-crt', flags['out-crt']);
  checkStreams({}, { 'out-key': flags['out-key'], 'out-crt': flags['out-crt'], 'out-qr': flags['out-qr'] });
  const encryption = flags.encrypt ? encryptionOf(flags) : null;
  if (flags.duration <= 0) {
    throw usageError('-duration must be greater than 0');
  }
  const version = versionOf(flags.version);
  const networks = prefixesOf('networks', flags.networks, 'ips', flags.ips);
  const unsafeNetworks = prefixesOf('unsafe-networks', flags['unsafe-networks'], 'subnets', flags.subnets);
  if (version === 1) {
    refuseIpv6('networks', networks);
    refuseIpv6('unsafe-networks', unsafeNetworks);
  }
  const curve = curveOf(flags.curve);
  refuseOverwriting(flags['out-key'], 'CA key');
  refuseOverwriting(flags['out-crt'], 'CA cert');
  const { key, publicKey } = newKey(curve);
  const now = unixSeconds(io);
  const fields = {
    version,
    name: flags.name,
    networks,
    unsafeNetworks,
    groups: commaList(flags.groups),
    notBefore: now,
    notAfter: now + secondsOf(flags.duration),
    isCa: true,
    curve,
    publicKey,
  };
  const signingKey = { curve, privateKey: key.bytes };
  const certificate = attempt('error while signing', () => signCertificate(fields, null, signingKey));
  const text = formatCertificate(certificate);
  const qrCode = flags['out-qr'] === '' ? null : qrCodePng(text);
  const keyFile = encryption === null ? formatKey('ca private', key) : await encrypted(io, key, encryption);
  key.bytes.fill(0);
  writeOutput(io, flags['out-key'], keyFile, 'out-key', 'new');
  keyFile.fill(0);
  writeOutput(io, flags['out-crt'], text, 'out-crt', 'new');
  if (qrCode !== null) {
    writeOutput(io, flags['out-qr'], qrCode, 'out-qr', 'overwrite');
  }
}

function encryptionOf(flags: FlagValues<typeof FLAGS>): Argon2Parameters {
  const [memoryKib, parallelism] = [flags['argon-memory'], flags['argon-parallelism']];
  checkRange('argon-memory', memoryKib, 1, ARGON2_MEMORY_KIB_MAX);
  checkRange('argon-parallelism', parallelism, 1, 255);
  checkRange('argon-iterations', flags['argon-iterations'], 1, 0xffff_ffff);
  checkRange('argon-memory', memoryKib, 8 * parallelism, ARGON2_MEMORY_KIB_MAX);
  return { memoryKib, parallelism, iterations: flags['argon-iterations'] };
}

function checkRange(name: string, value: number, min: number, max: number): void {
  if (value < min || value > max) {
    throw usageError(`-${name} must be between ${min} and ${max}, not ${value}`);
  }
}

function newKey(curve: Curve): { readonly key: CurveKey; readonly publicKey: Uint8Array } {
  const seed = randomBytes(32);
  const pair = curve === Curve.P256 ? generateKeyPair(curve, seed) : ed25519KeyPair(seed);
  seed.fill(0);
  return { key: { curve, bytes: pair.privateKey }, publicKey: pair.publicKey };
}

async function encrypted(io: CertIo, key: CurveKey, parameters: Argon2Parameters): Promise<Uint8Array> {
  const passphrase = await readPassphrase(io, {
    notInteractive: 'out-key must be encrypted interactively',
    empty: 'no passphrase specified, remove -encrypt flag to write out-key in plaintext',
  });
  try {
    return formatEncryptedKey(key, passphrase, parameters, randomBytes(32), randomBytes(12));
  } catch (error) {
    throw new CommandError(`error while encrypting out-key: ${errorText(error)}`);
  } finally {
    passphrase.fill(0);
  }
}
