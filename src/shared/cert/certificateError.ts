/** The one error of certificates, keys and their files: a fault of the input, never of this program. */

/** `reason` is a sentence fragment without the place; whoever knows the file or the peer puts it in front. */
export class CertificateError extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.name = 'CertificateError';
    this.reason = reason;
  }
}
