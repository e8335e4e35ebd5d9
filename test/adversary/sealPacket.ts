/** Sealing one packet with node:crypto, by the keys that a peer without a data path has in its rows. */
import { createCipheriv } from 'node:crypto';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { TAG_BYTES } from '../../src/shared/wire/header.ts';
import { headerBytes } from '../sim/packets.ts';
import type { MemoryRow } from '../support/memoryTunnelStore.ts';

export function sealPacket(row: MemoryRow, type: number, subtype: number, body: Uint8Array): Uint8Array {
  row.sendCount++;
  const header = headerBytes(type, subtype, row.record.remoteIndex, row.sendCount);
  const { cipher, sendKey } = row.record;
  const nonce = nonceBytes(cipher, row.sendCount);
  const sealer =
    cipher === Cipher.Aes256Gcm
      ? createCipheriv('aes-256-gcm', sendKey, nonce)
      : createCipheriv('chacha20-poly1305', sendKey, nonce, { authTagLength: TAG_BYTES });
  sealer.setAAD(header, { plaintextLength: body.length });
  return new Uint8Array(Buffer.concat([header, sealer.update(body), sealer.final(), sealer.getAuthTag()]));
}

function nonceBytes(cipher: Cipher, counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter), cipher !== Cipher.Aes256Gcm);
  return nonce;
}
