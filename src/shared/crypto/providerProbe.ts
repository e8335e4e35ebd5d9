/**
 * The script that `providers.ts` runs as a child: loads and tries the named providers and prints one JSON line each.
 *
 * A foreign library may crash or hang here at no cost. Not to be imported.
 */
import { readFileSync, writeSync } from 'node:fs';
import { errorText } from '../log/errorText.ts';
import { Cipher } from './aead.ts';
import { createNodeProvider } from './nodeProvider.ts';
import { PROVIDER_NAMES, type ProviderName } from './providerNames.ts';
import { type ProviderReport, tryLoad } from './providers.ts';
import { checkProvider, type Speed, timeProvider } from './trial.ts';

for (const name of process.argv.slice(2)) {
  const known = PROVIDER_NAMES.find((candidate) => candidate === name);
  if (known !== undefined) {
    // At once: a line held back would be lost if the next candidate crashed.
    writeSync(1, `${JSON.stringify(tryProvider(known))}\n`);
  }
}

function tryProvider(name: ProviderName): ProviderReport {
  const reasons: string[] = [];
  let aes: Speed | null = null;
  let chacha: Speed | null = null;
  try {
    const loaded = tryLoad(name);
    const provider = loaded.provider;
    reasons.push(...(provider === null ? loaded.reasons : []));
    if (provider !== null) {
      const trial = (cipher: Cipher): Speed | null => {
        if (!provider.ciphers.includes(cipher)) {
          return null;
        }
        const fault = checkProvider(provider, cipher, createNodeProvider());
        reasons.push(...(fault === null ? [] : [fault]));
        return fault === null ? timeProvider(provider, cipher, () => performance.now() * 1e6) : null;
      };
      aes = trial(Cipher.Aes256Gcm);
      chacha = trial(Cipher.ChaCha20Poly1305);
    }
  } catch (error) {
    reasons.push(errorText(error));
  }
  return { name, aes, chacha, reason: reasons.join('; '), files: mappedFiles() };
}

/** What of this process's code comes from a file: node, its modules, the libraries loaded so far. */
function mappedFiles(): string[] {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  const paths = lines.flatMap((line) => /^\S+ r-x\S* .*?(\/.*)$/.exec(line)?.[1] ?? []);
  return [...new Set(paths)];
}
