/** Certificates as PEM files: one or several blocks of either version. Read by nodes and tools, written by tools. */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { CertificateError } from '../../shared/cert/certificateError.ts';
import { parseCertificate } from '../../shared/cert/parse.ts';
import { firstPemBlock, formatPem, type PemBlock, parsePem } from './pem.ts';

const BANNERS: Readonly<Record<1 | 2, string>> = { 1: 'NEBULA CERTIFICATE', 2: 'NEBULA CERTIFICATE V2' };

/** Every certificate of a file, in its order. Throws CertificateError when a block is no certificate or broken. */
export function parseCertificates(file: Uint8Array): Certificate[] {
  return parsePem(file).map(certificateOf);
}

/** The certificate of the first block. */
export function parseFirstCertificate(file: Uint8Array): Certificate {
  return certificateOf(firstPemBlock(file));
}

/** The PEM block, with a newline at its end. */
export function formatCertificate(certificate: Certificate): string {
  return Buffer.from(formatPem(BANNERS[certificate.version], certificate.encoded)).toString('latin1');
}

function certificateOf(block: PemBlock): Certificate {
  switch (block.banner) {
    case BANNERS[1]:
      return parseCertificate(block.content, 1);
    case BANNERS[2]:
      return parseCertificate(block.content, 2);
    default:
      throw new CertificateError(`bytes did not contain a proper certificate banner: ${block.banner}`);
  }
}
