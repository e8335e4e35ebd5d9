/**
 * Nanoseconds per packet of each AEAD provider found here, sealing and opening apart: `node build/test/bench/aead.js`.
 *
 * Rounds of all providers are interleaved and the best round counts, so that other work on the machine disturbs all
 * alike. 16 bytes of associated data, as on the wire.
 */
import { type AeadKey, Cipher } from '../../src/shared/crypto/aead.ts';
import { PROVIDER_NAMES } from '../../src/shared/crypto/providerNames.ts';
import { tryLoad } from '../../src/shared/crypto/providers.ts';
import { Arena } from '../../src/shared/sys/arena.ts';

const sizes = [64, 100, 576, 1300, 8900];
const Rounds = 30;
const PacketsOfRound = 64;
const Ad = 4096;
const Text = 8192;
const Slots = 32768;
const SlotBytes = 9216;

interface Row {
  readonly name: string;
  readonly cipher: string;
  readonly key: AeadKey;
  readonly sealNs: number[];
  readonly openNs: number[];
}

const arena = new Arena(Slots + PacketsOfRound * SlotBytes);
const rows: Row[] = [];
for (const name of PROVIDER_NAMES) {
  const { provider, reasons } = tryLoad(name);
  if (provider === null) {
    console.log(`${name}: not here (${reasons[0]})`);
    continue;
  }
  for (const [title, cipher] of Object.entries(Cipher).filter(([, offered]) => provider.ciphers.includes(offered))) {
    const key = provider.createKey(cipher, new Uint8Array(32).fill(9), arena);
    rows.push({ name, cipher: title, key, sealNs: sizes.map(() => Infinity), openNs: sizes.map(() => Infinity) });
  }
}
for (let round = 0; round < Rounds + 2; round++) {
  for (const row of rows) {
    sizes.forEach((size, index) => {
      const seal = measure(() => {
        for (let counter = 0; counter < PacketsOfRound; counter++) {
          row.key.seal(Ad, 16, Text, size, Slots + counter * SlotBytes, 0, counter);
        }
      });
      const open = measure(() => {
        for (let counter = 0; counter < PacketsOfRound; counter++) {
          row.key.open(Ad, 16, Slots + counter * SlotBytes, size, 0, counter);
        }
      });
      if (round >= 2) {
        row.sealNs[index] = Math.min(row.sealNs[index], seal);
        row.openNs[index] = Math.min(row.openNs[index], open);
      }
    });
  }
}
console.log(`node ${process.version}, OpenSSL ${process.versions.openssl}, ns per packet: seal/open`);
console.log(`${'provider'.padEnd(12)}${'cipher'.padEnd(20)}${sizes.map((size) => `${size} B`.padStart(13)).join('')}`);
for (const row of rows) {
  const cells = sizes.map((_, i) => `${row.sealNs[i].toFixed(0)}/${row.openNs[i].toFixed(0)}`.padStart(13));
  console.log(`${row.name.padEnd(12)}${row.cipher.padEnd(20)}${cells.join('')}`);
  row.key.destroy();
}

function measure(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / PacketsOfRound;
}
