/**
 * A certificate as the JSON that Nebula's tools print, for scripts that already read it: same keys, same order, times in
 * the local zone, and the same escapes as Go's encoder. Nebula protocol: certificates §7, print.
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { Curve } from '../../shared/crypto/curve.ts';

/** One line without spaces. */
export function certificateJson(certificate: Certificate): string {
  return goJson(certificate.version === 1 ? version1Object(certificate) : version2Object(certificate));
}

function version1Object(certificate: Certificate): object {
  return {
    details: {
      curve: curveText(certificate.curve),
      groups: certificate.groups,
      isCa: certificate.isCa,
      issuer: certificate.issuer,
      name: certificate.name,
      networks: certificate.networks.map((prefix) => prefix.text),
      notAfter: rfc3339(certificate.notAfter),
      notBefore: rfc3339(certificate.notBefore),
      publicKey: hex(certificate.publicKey),
      unsafeNetworks: certificate.unsafeNetworks.map((prefix) => prefix.text),
    },
    fingerprint: certificate.fingerprint,
    signature: hex(certificate.signature),
    version: 1,
  };
}

function version2Object(certificate: Certificate): object {
  return {
    curve: curveText(certificate.curve),
    details: {
      groups: nullIfEmpty(certificate.groups),
      isCa: certificate.isCa,
      issuer: certificate.issuer,
      name: certificate.name,
      networks: nullIfEmpty(certificate.networks.map((prefix) => prefix.text)),
      notAfter: rfc3339(certificate.notAfter),
      notBefore: rfc3339(certificate.notBefore),
      unsafeNetworks: nullIfEmpty(certificate.unsafeNetworks.map((prefix) => prefix.text)),
    },
    fingerprint: certificate.fingerprint,
    publicKey: hex(certificate.publicKey),
    signature: hex(certificate.signature),
    version: 2,
  };
}

export function curveText(curve: Curve): string {
  return curve === Curve.P256 ? 'P256' : 'CURVE25519';
}

/** A moment in the local time zone: `2026-11-22T10:00:00+01:00`, `Z` for UTC. */
function rfc3339(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  const offsetMinutes = -date.getTimezoneOffset();
  const local = new Date((unixSeconds + offsetMinutes * 60) * 1000);
  const sign = offsetMinutes < 0 ? '-' : '+';
  const zone = Math.abs(offsetMinutes);
  const zoneText = zone === 0 ? 'Z' : `${sign}${padded(Math.floor(zone / 60), 2)}:${padded(zone % 60, 2)}`;
  const day = `${padded(local.getUTCFullYear(), 4)}-${padded(local.getUTCMonth() + 1, 2)}-${padded(local.getUTCDate(), 2)}`;
  const time = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()]
    .map((part) => padded(part, 2))
    .join(':');
  return `${day}T${time}${zoneText}`;
}

/** JSON.stringify with the characters escaped that Go escapes so that JSON can stand in HTML. */
function goJson(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function nullIfEmpty(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
