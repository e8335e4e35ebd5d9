/** The curves of certificates and of the key agreement, by their numbers in a certificate. */

export const Curve = { Curve25519: 0, P256: 1 } as const;
export type Curve = (typeof Curve)[keyof typeof Curve];
