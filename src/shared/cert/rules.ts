/**
 * What a certificate may contain, apart from who signed it: the rules of each version, checked when parsing and before
 * signing, and the constraints that a CA's own lists put on what it signs. Nebula protocol: certificates §1, §2, §6.
 */
import { comparePrefixes, type Prefix, prefixContains } from '../ip/address.ts';
import type { Certificate, CertificateFields } from './certificate.ts';
import { CertificateError } from './certificateError.ts';

/** Longest name in version 2, in UTF-8 bytes. */
export const NAME_BYTES_MAX = 253;

/** The fields with the lists in the order that the version keeps; throws CertificateError on the first broken rule. */
export function checkedFields(fields: CertificateFields): CertificateFields {
  if (fields.publicKey.length === 0) {
    throw new CertificateError('the certificate has no public key');
  }
  if (!fields.isCa && fields.networks.length === 0) {
    throw new CertificateError('a certificate that is not a CA must contain at least one network');
  }
  for (const network of fields.networks) {
    if (network.address.bytes.every((byte) => byte === 0)) {
      throw new CertificateError(`the zero address can not be assigned as a network: ${network.text}`);
    }
  }
  return fields.version === 1 ? checkedVersion1(fields) : checkedVersion2(fields);
}

/** Why `ca` may not have signed `certificate`; null when every constraint holds. The first one broken is reported. */
export function constraintFault(ca: Certificate, certificate: CertificateFields): ConstraintFault | null {
  if (certificate.notAfter > ca.notAfter) {
    return {
      fault: 'certificate expires after signing certificate',
      detail: `it is valid until ${timeText(certificate.notAfter)}, the CA "${ca.name}" until ${timeText(ca.notAfter)}`,
    };
  }
  if (certificate.notBefore < ca.notBefore) {
    return {
      fault: 'certificate is valid before the signing certificate',
      detail: `it is valid from ${timeText(certificate.notBefore)}, the CA "${ca.name}" from ${timeText(ca.notBefore)}`,
    };
  }
  const group = ca.groups.length === 0 ? undefined : certificate.groups.find((name) => !ca.groups.includes(name));
  if (group !== undefined) {
    return {
      fault: `certificate contained a group not present on the signing ca: ${group}`,
      detail: `the CA "${ca.name}" allows the groups ${ca.groups.join(', ')}`,
    };
  }
  const network = firstOutside(certificate.networks, ca.networks);
  if (network !== null) {
    return {
      fault: `certificate contained a network assignment outside the limitations of the signing ca: ${network.text}`,
      detail: `the CA "${ca.name}" allows the networks ${prefixesText(ca.networks)}`,
    };
  }
  const unsafe = firstOutside(certificate.unsafeNetworks, ca.unsafeNetworks);
  if (unsafe !== null) {
    return {
      fault: `certificate contained an unsafe network assignment outside the limitations of the signing ca: ${unsafe.text}`,
      detail: `the CA "${ca.name}" allows the unsafe networks ${prefixesText(ca.unsafeNetworks)}`,
    };
  }
  return null;
}

export interface ConstraintFault {
  /** Nebula's sentence, as logs and tools print it. */
  readonly fault: string;
  /** Which limit it was and where it comes from. */
  readonly detail: string;
}

/** UTC and to the second, for sentences: `2026-11-22T10:00:00Z`. */
export function timeText(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return Number.isNaN(date.getTime()) ? `second ${unixSeconds}` : date.toISOString().replace('.000Z', 'Z');
}

/** For sentences: `10.1.0.0/16, fd00::/64`. */
export function prefixesText(prefixes: readonly Prefix[]): string {
  return prefixes.map((prefix) => prefix.text).join(', ');
}

function checkedVersion1(fields: CertificateFields): CertificateFields {
  const foreign = [...fields.networks, ...fields.unsafeNetworks].find((network) => network.address.family !== 4);
  if (foreign !== undefined) {
    throw new CertificateError(`v1 certificates can only contain ipv4 networks, not ${foreign.text}`);
  }
  return fields;
}

function checkedVersion2(fields: CertificateFields): CertificateFields {
  const nameBytes = Buffer.byteLength(fields.name);
  if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) {
    throw new CertificateError(`the name of a v2 certificate has 1 to ${NAME_BYTES_MAX} bytes, not ${nameBytes}`);
  }
  if (fields.groups.includes('')) {
    throw new CertificateError('a group of a v2 certificate can not be empty');
  }
  const networks = sortedUnique(fields.networks, 'network');
  const unsafeNetworks = sortedUnique(fields.unsafeNetworks, 'unsafe network');
  if (!fields.isCa) {
    for (const unsafe of unsafeNetworks) {
      if (!networks.some((network) => network.address.family === unsafe.address.family)) {
        const family = unsafe.address.family === 4 ? 'IPv4' : 'IPv6';
        throw new CertificateError(`${family} unsafe networks require an ${family} network: ${unsafe.text}`);
      }
    }
  }
  return { ...fields, networks, unsafeNetworks };
}

function sortedUnique(prefixes: readonly Prefix[], what: string): readonly Prefix[] {
  const sorted = [...prefixes].sort(comparePrefixes);
  const duplicate = sorted.find((prefix, index) => index > 0 && prefix.text === sorted[index - 1].text);
  if (duplicate !== undefined) {
    throw new CertificateError(`the ${what} ${duplicate.text} is listed twice`);
  }
  return sorted;
}

/** The first prefix that no prefix of a non-empty `allowed` covers. */
function firstOutside(prefixes: readonly Prefix[], allowed: readonly Prefix[]): Prefix | null {
  if (allowed.length === 0) {
    return null;
  }
  const outside = prefixes.find(
    (prefix) => !allowed.some((range) => range.bits <= prefix.bits && prefixContains(range, prefix.address)),
  );
  return outside ?? null;
}
