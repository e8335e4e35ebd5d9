/** The names of the AEAD implementations, the values of `crypto.provider`: apart from the code that loads libraries. */
export const ipsecMbProviderName = 'ipsec-mb';
export const gcryptProviderName = 'libgcrypt';
export const opensslProviderNames = { node: 'node-evp', system: 'libcrypto' } as const;
export const boringProviderName = 'boringssl';
export const nodeProviderName = 'node';

/** In the order in which they are tried. */
export const providerNames = [
  ipsecMbProviderName,
  gcryptProviderName,
  opensslProviderNames.node,
  opensslProviderNames.system,
  boringProviderName,
  nodeProviderName,
] as const;
export type ProviderName = (typeof providerNames)[number];
