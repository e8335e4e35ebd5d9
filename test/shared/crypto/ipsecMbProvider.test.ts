/** Every variant of libIPSec_MB that this processor can run, and the choice among them. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { ipsecMbVariants, loadIpsecMbProvider, processorFlags } from '../../../src/shared/crypto/ipsecMbProvider.ts';
import { createNodeProvider } from '../../../src/shared/crypto/nodeProvider.ts';
import { checkProvider } from '../../../src/shared/crypto/trial.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';

describe('ipsecMbVariants', () => {
  it('are those whose every instruction the processor has, best first', () => {
    const old = ['sse4_2', 'aes', 'pclmulqdq'];
    const modern = [...old, 'avx2', 'bmi2'];
    const newest = [...modern, 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'vaes', 'vpclmulqdq'];
    expect(ipsecMbVariants([])).to.deep.equal([]);
    expect(ipsecMbVariants(old)).to.deep.equal(['sse']);
    expect(ipsecMbVariants(modern)).to.deep.equal(['avx_gen4', 'sse']);
    expect(ipsecMbVariants(newest)).to.deep.equal(['vaes_avx512', 'avx512', 'avx_gen4', 'sse']);
    expect(ipsecMbVariants(newest.filter((flag) => flag !== 'vpclmulqdq'))).not.to.include('vaes_avx512');
  });

  it('are none where the flags cannot be read', () => {
    expect(processorFlags('/does/not/exist')).to.deep.equal([]);
  });
});

describe('libIPSec_MB', () => {
  const loaded = ipsecMbVariants(processorFlags()).map((variant) => loadIpsecMbProvider(undefined, [variant]));
  const [best] = loaded.flatMap(({ provider }) => provider ?? []);

  it('is here, or says what is missing', () => {
    const missing = loaded.filter(({ provider }) => provider === null).flatMap(({ reasons }) => reasons);
    expect(missing.every((reason) => /IPSec_MB/.test(reason))).to.equal(true);
    expect(loadIpsecMbProvider(['libweft-no-such-thing.so'], ['sse']).reasons.join()).to.include('no-such-thing');
    const unable = loadIpsecMbProvider(undefined, []);
    expect(unable.provider).to.equal(null);
    expect(unable.reasons.join()).to.include('this processor');
  });

  for (const [index, { provider }] of loaded.entries()) {
    if (provider !== null) {
      it(`seals and opens as node:crypto does, variant ${index + 1} of ${loaded.length}`, () => {
        expect(checkProvider(provider, Cipher.Aes256Gcm, createNodeProvider())).to.equal(null);
      });
    }
  }

  if (best !== undefined) {
    it('offers AES-256-GCM only, and keys that come and go take no more memory', () => {
      expect(best.ciphers).to.deep.equal([Cipher.Aes256Gcm]);
      const arena = new Arena(65536);
      expect(() => best.createKey(Cipher.ChaCha20Poly1305, new Uint8Array(32), arena)).to.throw(/only AES-256-GCM/);
      best.createKey(Cipher.Aes256Gcm, new Uint8Array(32), arena).destroy();
      const { usedBytes } = arena;
      for (let count = 0; count < 40_000; count++) {
        best.createKey(Cipher.Aes256Gcm, new Uint8Array(32), arena).destroy();
      }
      expect(arena.usedBytes).to.equal(usedBytes);
    });
  }
});
