/** The fast checksum against the plain definition of RFC 1071. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  checksumOf,
  foldSum,
  ipv4Checksum,
  isIpv4ChecksumRight,
  pseudoSum4,
  pseudoSum6,
  sumBytes,
  udpChecksumOf,
} from '../../../src/shared/ip/checksum.ts';
import { Random } from '../../support/random.ts';

describe('sumBytes', () => {
  it('gives the sum of the example in RFC 1071 §3', () => {
    expect(sumBytes(viewOf([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0, 8)).to.equal(0xddf2);
  });

  it('equals the 16-bit definition for any offset and length', () => {
    const random = new Random(1);
    const bytes = random.bytes(4096);
    const view = viewOf(bytes);
    for (let round = 0; round < 3000; round++) {
      const offset = random.below(64);
      const length = random.pick([random.below(40), random.below(2000)]);
      expect(sumBytes(view, offset, length)).to.equal(plainSum(bytes, offset, length));
    }
  });

  it('carries right when every bit is set, up to the largest packet', () => {
    const bytes = new Uint8Array(65535).fill(0xff);
    for (const length of [0, 1, 2, 3, 20, 65534, 65535]) {
      expect(sumBytes(viewOf(bytes), 0, length)).to.equal(plainSum(bytes, 0, length));
    }
  });
});

describe('checksum fields', () => {
  // An ICMP echo request, checksums as captured.
  const packet = Buffer.from('4500002400010000400166820a2a00010a2a000208007b5d12340001766563746f722121', 'hex');

  it('are right for a captured packet', () => {
    const view = viewOf(packet);
    expect(isIpv4ChecksumRight(view, 0, 20)).to.equal(true);
    expect(ipv4Checksum(view, 0, 20)).to.equal(0x6682);
    expect(checksumOf(sumBytes(view, 20, 16))).to.equal(0);
  });

  it('do not depend on what the field held before', () => {
    const copy = Uint8Array.from(packet);
    const view = viewOf(copy);
    for (const field of [0, 0xffff, 0x1234]) {
      view.setUint16(10, field);
      expect(ipv4Checksum(view, 0, 20)).to.equal(0x6682);
    }
    view.setUint16(10, 0x6683);
    expect(isIpv4ChecksumRight(view, 0, 20)).to.equal(false);
  });

  it('are never zero for UDP', () => {
    expect(checksumOf(0xffff)).to.equal(0);
    expect(udpChecksumOf(0xffff)).to.equal(0xffff);
    expect(udpChecksumOf(0x1234)).to.equal(0xedcb);
  });

  it('cover addresses, protocol and length by the pseudo-header', () => {
    const bytes = new Random(3).bytes(64);
    const view = viewOf(bytes);
    const four = [...bytes.subarray(12, 20), 0, 17, 0x01, 0x02];
    expect(foldSum(pseudoSum4(view, 0, 17) + 0x0102)).to.equal(plainSum(Uint8Array.from(four), 0, 12));
    const six = [...bytes.subarray(8, 40), 0, 0, 0x01, 0x02, 0, 0, 0, 6];
    expect(foldSum(pseudoSum6(view, 0, 6) + 0x0102)).to.equal(plainSum(Uint8Array.from(six), 0, 40));
  });
});

function plainSum(bytes: Uint8Array, offset: number, length: number): number {
  let sum = 0;
  for (let index = 0; index < length; index++) {
    sum += index % 2 === 0 ? bytes[offset + index] * 256 : bytes[offset + index];
    sum = sum > 0xffff ? sum - 0xffff : sum;
  }
  return sum;
}

function viewOf(bytes: Uint8Array | readonly number[]): DataView {
  const array = Uint8Array.from(bytes);
  return bytes instanceof Uint8Array ? new DataView(bytes.buffer, bytes.byteOffset) : new DataView(array.buffer);
}
