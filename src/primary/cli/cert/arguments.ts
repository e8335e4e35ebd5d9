/** What several modes read from their flags in the same way: lists, networks, curves, versions, files of certificates. */
import type { Certificate } from '../../../shared/cert/certificate.ts';
import { Curve } from '../../../shared/crypto/curve.ts';
import { type Prefix, parsePrefix } from '../../../shared/ip/address.ts';
import { parseCertificates } from '../../pki/certificateFile.ts';
import { attempt, type CertIo, CommandError, readInput, usageError } from './io.ts';

/** The items of a comma-separated list, trimmed, without empty ones. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** The prefixes of a list flag or, when it is empty, of its deprecated alias. Host bits stay as given. */
export function prefixesOf(name: string, text: string, alias: string, aliasText: string): Prefix[] {
  const [usedName, usedText] = text === '' ? [alias, aliasText] : [name, text];
  return commaList(usedText).map((item) => {
    const prefix = parsePrefix(item);
    if (prefix === null) {
      throw usageError(`invalid -${usedName} definition: ${item} is no address with a prefix length like 10.1.0.1/16`);
    }
    return prefix;
  });
}

/** Refuses IPv6 in a version 1 certificate. */
export function refuseIpv6(name: string, prefixes: readonly Prefix[]): void {
  const foreign = prefixes.find((prefix) => prefix.address.family === 6);
  if (foreign !== undefined) {
    throw usageError(`invalid -${name} definition: v1 certificates can only be ipv4, have ${foreign.text}`);
  }
}

export function requireText(name: string, value: string): void {
  if (value === '') {
    throw usageError(`-${name} is required`);
  }
}

export function versionOf(value: number): 1 | 2 {
  if (value !== 1 && value !== 2) {
    throw usageError('-version must be either 1 or 2');
  }
  return value;
}

export function curveOf(text: string): Curve {
  switch (text) {
    case '25519':
    case 'X25519':
    case 'Curve25519':
    case 'CURVE25519':
      return Curve.Curve25519;
    case 'P256':
      return Curve.P256;
    default:
      throw usageError(`invalid curve: ${text}`);
  }
}

/** The certificates of a flag's file, at least one; `what` names them when they can not be parsed. */
export async function readCertificates(
  io: CertIo,
  path: string,
  flag: string,
  what: string = flag,
): Promise<Certificate[]> {
  const file = await readInput(io, path, flag);
  const certificates = attempt(`error while parsing ${what}`, () => parseCertificates(file));
  if (certificates.length === 0) {
    throw new CommandError(`error while parsing ${what}: the file is empty`);
  }
  return certificates;
}

/** Whole seconds of a duration flag. */
export function secondsOf(durationMs: number): number {
  return Math.floor(durationMs / 1000);
}
