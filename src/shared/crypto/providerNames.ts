/** The names of the AEAD implementations, the values of `crypto.provider`: apart from the code that loads libraries. */
export const IPSEC_MB_PROVIDER_NAME = 'ipsec-mb';
export const GCRYPT_PROVIDER_NAME = 'libgcrypt';
export const opensslProviderNames = { node: 'node-evp', system: 'libcrypto' } as const;
export const BORING_PROVIDER_NAME = 'boringssl';
export const NODE_PROVIDER_NAME = 'node';

/** In the order in which they are tried. */
export const PROVIDER_NAMES = [
  IPSEC_MB_PROVIDER_NAME,
  GCRYPT_PROVIDER_NAME,
  opensslProviderNames.node,
  opensslProviderNames.system,
  BORING_PROVIDER_NAME,
  NODE_PROVIDER_NAME,
] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];
