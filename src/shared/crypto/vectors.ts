/**
 * Known answers for the packet ciphers: whole packets of the Nebula protocol with the keys of one recorded handshake.
 *
 * Used by `trial.ts` at every start and by the tests. Data only.
 */

import { TAG_BYTES } from '../wire/header.ts';
import { Cipher } from './aead.ts';

export interface AeadVector {
  readonly name: string;
  readonly cipher: Cipher;
  readonly key: Uint8Array;
  readonly ad: Uint8Array;
  readonly plain: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
  readonly counterHigh: number;
  readonly counterLow: number;
}

const HEADER_BYTES = 16;

/** An inner IPv4 packet: ICMP echo request from 10.42.0.1 to 10.42.0.2. */
const INNER_PACKET = '4500002400010000400166820a2a00010a2a000208007b5d12340001766563746f722121';

const AES_TO_B = '5de737f58e0e08861ac8950053876632080f2505b0b405ee3eb04814f2014a4e';
const AES_TO_A = 'ed4d1a075cdfc2af38e2091daf84be6a101ca70594b95681ecbed24842843889';
const CHACHA_TO_B = 'afc35375e97bc5356be92f512193d0597f249cc2c10e58d99240416cb098e80a';
const CHACHA_TO_A = '9ab30e9168c34108f46530743261594c6f6beb33cd30b23382e8c5b8ab96b798';

const AES_DATA =
  '11000000556677880000000000000003d99a6c3491fbc2fdf2d89f8a645951688aa45fea3c043941c31ad44e06dd19a8' +
  'a332bc13a26ea105a21ff48d2d6089eea7fb952e';
const CHACHA_DATA =
  '11000000556677880000000000000003798759c50fb50ff3db12d525485f25af5202560775dc918bdf645cf76a6ae520' +
  '6e0cf004810c36e7b9090543d2aed4c38f82091e';

export const AEAD_VECTORS: readonly AeadVector[] = [
  message('data', Cipher.Aes256Gcm, AES_TO_B, INNER_PACKET, AES_DATA),
  message(
    'test request',
    Cipher.Aes256Gcm,
    AES_TO_B,
    '',
    '1400000055667788000000000000000465625d833a0c0a16defa3fff1523d018',
  ),
  message(
    'test reply',
    Cipher.Aes256Gcm,
    AES_TO_A,
    '',
    '14010000112233440000000000000003226e11c98082eee37ea08115e9d3949f',
  ),
  message('close', Cipher.Aes256Gcm, AES_TO_B, '', '150000005566778800000000000000050705d156df40a36ded7ecdd5acd17d87'),
  message(
    'large counter',
    Cipher.Aes256Gcm,
    AES_TO_B,
    '78',
    '11000000556677880102030405060708b9837c2b8d19c46b4329d42a87cc382301',
  ),
  relay(Cipher.Aes256Gcm, AES_TO_B, AES_DATA, 'b5cc625bed8f0d3cb4e96c91a90fdadd'),
  message('data', Cipher.ChaCha20Poly1305, CHACHA_TO_B, INNER_PACKET, CHACHA_DATA),
  message(
    'test request',
    Cipher.ChaCha20Poly1305,
    CHACHA_TO_B,
    '',
    '14000000556677880000000000000004c3e302b95a6ff636bc668ef825bf718e',
  ),
  message(
    'test reply',
    Cipher.ChaCha20Poly1305,
    CHACHA_TO_A,
    '',
    '1401000011223344000000000000000312ae8b8e18ecd963001dbbf21dd3a697',
  ),
  message(
    'close',
    Cipher.ChaCha20Poly1305,
    CHACHA_TO_B,
    '',
    '15000000556677880000000000000005f5f13a94adf623056b60bafecf87d4cc',
  ),
  message(
    'large counter',
    Cipher.ChaCha20Poly1305,
    CHACHA_TO_B,
    '78',
    '11000000556677880102030405060708b529f9b859a0d6c93f16e772677f6d80bb',
  ),
  relay(Cipher.ChaCha20Poly1305, CHACHA_TO_B, CHACHA_DATA, '5d6434888804bd16a479148627d9e2ee'),
];

/** An encrypted message: the 16-byte header is the associated data and carries the counter. */
function message(name: string, cipher: Cipher, key: string, plain: string, packet: string): AeadVector {
  const bytes = fromHex(packet);
  const header = bytes.subarray(0, HEADER_BYTES);
  return {
    name,
    cipher,
    key: fromHex(key),
    ad: header,
    plain: fromHex(plain),
    sealed: bytes.subarray(HEADER_BYTES),
    ...counterOf(header),
  };
}

/** A relayed packet: header and inner packet are associated data, nothing is encrypted. */
function relay(cipher: Cipher, key: string, inner: string, tag: string): AeadVector {
  const ad = fromHex(`11010000cafebabe0000000000000006${inner}`);
  const sealed = fromHex(tag);
  if (sealed.length !== TAG_BYTES) {
    throw new RangeError('a relay vector ends in one tag');
  }
  return { name: 'relay', cipher, key: fromHex(key), ad, plain: new Uint8Array(0), sealed, ...counterOf(ad) };
}

function counterOf(header: Uint8Array): { counterHigh: number; counterLow: number } {
  const view = new DataView(header.buffer, header.byteOffset);
  return { counterHigh: view.getUint32(8), counterLow: view.getUint32(12) };
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
