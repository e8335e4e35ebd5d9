/** Sealing and opening one packet with node:crypto: what the workers' data path does, in its simplest form. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { HEADER_BYTES, TAG_BYTES, writeHeader } from '../../src/shared/wire/header.ts';
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

/** The body, or null when the packet is not authentic. */
export function openPacket(row: MemoryRow, packet: Uint8Array, counter: number): Uint8Array | null {
  const end = packet.length - TAG_BYTES;
  if (end < HEADER_BYTES) {
    return null;
  }
  const { cipher, receiveKey } = row.record;
  const nonce = nonceBytes(cipher, counter);
  const opener =
    cipher === Cipher.Aes256Gcm
      ? createDecipheriv('aes-256-gcm', receiveKey, nonce, { authTagLength: TAG_BYTES })
      : createDecipheriv('chacha20-poly1305', receiveKey, nonce, { authTagLength: TAG_BYTES });
  opener.setAAD(packet.subarray(0, HEADER_BYTES), { plaintextLength: end - HEADER_BYTES });
  opener.setAuthTag(packet.subarray(end));
  try {
    return new Uint8Array(Buffer.concat([opener.update(packet.subarray(HEADER_BYTES, end)), opener.final()]));
  } catch {
    return null;
  }
}

export function headerBytes(type: number, subtype: number, remoteIndex: number, counter: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  writeHeader(
    new DataView(header.buffer),
    0,
    type,
    subtype,
    0,
    remoteIndex,
    Math.floor(counter / 2 ** 32),
    counter >>> 0,
  );
  return header;
}

function nonceBytes(cipher: Cipher, counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter), cipher !== Cipher.Aes256Gcm);
  return nonce;
}
