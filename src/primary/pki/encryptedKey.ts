/**
 * A CA's private key under a passphrase: AES-256-GCM with a key from Argon2id, in protobuf. Only the command line reads
 * and writes it; a node never does. Nebula protocol: certificates §5.
 *
 *   { 1: metadata { 1: "AES-256-GCM"
 *                   2: { 1: version 19  2: memory KiB  3: iterations  4: parallelism  5: salt } }
 *     2: nonce (12) || ciphertext || tag (16) }
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CertificateError } from '../../shared/cert/certificateError.ts';
import { errorText } from '../../shared/log/errorText.ts';
import { ProtobufReader, ProtobufWriter, WireType } from '../../shared/wire/protobuf.ts';
import { type Argon2Parameters, deriveKey } from './argon2.ts';

const ALGORITHM = 'AES-256-GCM';
const ARGON2_VERSION = 19;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT_BYTES_MIN = 16;

/** The content of the PEM block. `salt` and `nonce` must be fresh random bytes. Throws RangeError for bad parameters. */
export function encryptKey(
  plaintext: Uint8Array,
  passphrase: Uint8Array,
  parameters: Argon2Parameters,
  salt: Uint8Array,
  nonce: Uint8Array,
): Uint8Array {
  const key = deriveKey(passphrase, salt, parameters, 32);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  const writer = new ProtobufWriter(new Uint8Array(sealed.length + salt.length + 128));
  const metadata = writer.begin(1);
  writer.write(1, Buffer.from(ALGORITHM));
  const argon2 = writer.begin(2);
  writer.u32(1, ARGON2_VERSION);
  writer.u32(2, parameters.memoryKib);
  writer.u32(3, parameters.iterations);
  writer.u32(4, parameters.parallelism);
  writer.write(5, salt);
  writer.finish(argon2);
  writer.finish(metadata);
  writer.write(2, sealed);
  return writer.bytes.slice(0, writer.offset);
}

/** The plaintext key in a fresh buffer. Throws CertificateError: unknown parameters, or a wrong passphrase. */
export function decryptKey(content: Uint8Array, passphrase: Uint8Array): Uint8Array {
  const { parameters, salt, sealed } = readEncrypted(content);
  const key = derivedKey(passphrase, salt, parameters);
  try {
    const cipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
    cipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const plaintext = cipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
    try {
      cipher.final();
      return new Uint8Array(plaintext);
    } finally {
      plaintext.fill(0);
    }
  } catch {
    throw new CertificateError('invalid passphrase or corrupt private key');
  } finally {
    key.fill(0);
  }
}

function derivedKey(passphrase: Uint8Array, salt: Uint8Array, parameters: Argon2Parameters): Uint8Array {
  try {
    return deriveKey(passphrase, salt, parameters, 32);
  } catch (error) {
    throw new CertificateError(errorText(error));
  }
}

interface Encrypted {
  readonly parameters: Argon2Parameters;
  readonly salt: Uint8Array;
  readonly sealed: Uint8Array;
}

function readEncrypted(content: Uint8Array): Encrypted {
  const reader = new ProtobufReader(content);
  const metadata = new MetadataReader();
  let sealed: Uint8Array = new Uint8Array(0);
  while (reader.next()) {
    if (reader.field === 1 && reader.expect(WireType.Bytes)) {
      const outer = reader.enter();
      metadata.read(reader);
      reader.leave(outer);
    } else if (reader.field === 2) {
      sealed = reader.view();
    }
  }
  if (reader.fault !== 0) {
    throw new CertificateError(`the encrypted key is not valid protobuf (fault ${reader.fault})`);
  }
  if (sealed.length < NONCE_BYTES + TAG_BYTES) {
    throw new CertificateError('the encrypted key has no complete ciphertext');
  }
  return { ...metadata.checked(), sealed };
}

class MetadataReader {
  #algorithm = '';
  #version = 0;
  #memoryKib = 0;
  #iterations = 0;
  #parallelism = 0;
  #salt: Uint8Array = new Uint8Array(0);

  read(reader: ProtobufReader): void {
    while (reader.next()) {
      if (reader.field === 1) {
        this.#algorithm = Buffer.from(reader.view()).toString('latin1');
      } else if (reader.field === 2 && reader.expect(WireType.Bytes)) {
        const outer = reader.enter();
        this.#readParameters(reader);
        reader.leave(outer);
      }
    }
  }

  checked(): { parameters: Argon2Parameters; salt: Uint8Array } {
    if (this.#algorithm !== ALGORITHM) {
      throw new CertificateError(`unsupported encryption algorithm: ${this.#algorithm}`);
    }
    if (this.#version !== ARGON2_VERSION) {
      throw new CertificateError(`incompatible Argon2 version: ${this.#version}`);
    }
    const parameters = {
      memoryKib: this.#memoryKib,
      iterations: this.#iterations,
      parallelism: this.#parallelism,
    };
    if (Object.values(parameters).includes(0) || this.#parallelism > 255) {
      throw new CertificateError('the Argon2 parameters are out of range');
    }
    if (this.#salt.length < SALT_BYTES_MIN) {
      throw new CertificateError(`the Argon2 salt has fewer than ${SALT_BYTES_MIN} bytes`);
    }
    return { parameters, salt: this.#salt };
  }

  #readParameters(reader: ProtobufReader): void {
    while (reader.next()) {
      switch (reader.field) {
        case 1:
          this.#version = reader.int64();
          break;
        case 2:
          this.#memoryKib = reader.u32();
          break;
        case 3:
          this.#iterations = reader.u32();
          break;
        case 4:
          this.#parallelism = reader.u32();
          break;
        case 5:
          this.#salt = reader.view();
          break;
        default:
          break;
      }
    }
  }
}
