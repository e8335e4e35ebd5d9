import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ProtobufFault, ProtobufReader, ProtobufWriter, WireType } from '../../../src/shared/wire/protobuf.ts';
import { Random } from '../../support/random.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

function readerOf(text: string): ProtobufReader {
  return new ProtobufReader(hex(text));
}

function written(write: (writer: ProtobufWriter) => void, capacity = 1024): string {
  const writer = new ProtobufWriter(new Uint8Array(capacity));
  write(writer);
  expect(writer.overflowed).to.equal(false);
  return Buffer.from(writer.bytes.subarray(0, writer.offset)).toString('hex');
}

describe('ProtobufReader', () => {
  it('decodes each wire type', () => {
    const reader = readerOf('089601 1203616263 1d78563412 21 8877665544332211');
    expect(reader.next()).to.equal(true);
    expect([reader.field, reader.wireType, reader.u32()]).to.deep.equal([1, WireType.Varint, 150]);
    expect(reader.next()).to.equal(true);
    expect([reader.field, reader.wireType, reader.start, reader.end]).to.deep.equal([2, WireType.Bytes, 5, 8]);
    expect(Buffer.from(reader.view()).toString()).to.equal('abc');
    expect(reader.next()).to.equal(true);
    expect([reader.field, reader.wireType, reader.low, reader.high]).to.deep.equal([
      3,
      WireType.Fixed32,
      0x12345678,
      0,
    ]);
    expect(reader.next()).to.equal(true);
    expect([reader.field, reader.low, reader.high]).to.deep.equal([4, 0x55667788, 0x11223344]);
    expect(reader.next()).to.equal(false);
    expect(reader.fault).to.equal(0);
  });

  it('reads the fields of a real query and enters its embedded message', () => {
    // Lighthouse query v2 for fd42::2: type 1, details { 6: address { 1: high half, 2: low half } }.
    const reader = readerOf('0801120f320d0880808080808080a1fd011002');
    const seen: string[] = [];
    while (reader.next()) {
      if (reader.field !== 2) {
        seen.push(`${reader.field}=${reader.u32()}`);
        continue;
      }
      const outer = reader.enter();
      while (reader.next()) {
        const inner = reader.enter();
        while (reader.next()) {
          seen.push(`${reader.field}=${reader.high.toString(16)}:${reader.low.toString(16)}`);
        }
        reader.leave(inner);
      }
      reader.leave(outer);
      seen.push('left');
    }
    expect(reader.fault).to.equal(0);
    expect(seen).to.deep.equal(['1=1', '1=fd420000:0', '2=0:2', 'left']);
  });

  it('reads a packed list item by item', () => {
    const reader = readerOf('1203019601 0801');
    expect(reader.next()).to.equal(true);
    const outer = reader.enter();
    const items: number[] = [];
    while (reader.item()) {
      items.push(reader.low);
    }
    reader.leave(outer);
    expect(items).to.deep.equal([1, 150]);
    expect(reader.next() && reader.field).to.equal(1);
    const broken = readerOf('12020180 0801');
    broken.next();
    broken.enter();
    expect([broken.item(), broken.item()]).to.deep.equal([true, false]);
    expect(broken.fault).to.equal(ProtobufFault.Truncated);
  });

  it('accepts varints up to 64 bits and refuses longer ones', () => {
    const whole = readerOf('08ffffffffffffffffff01');
    expect(whole.next()).to.equal(true);
    expect([whole.low, whole.high]).to.deep.equal([0xffffffff, 0xffffffff]);
    expect(whole.int64()).to.equal(-1);
    for (const text of ['08ffffffffffffffffff02', '0880808080808080808080', '088080808080808080808001']) {
      const reader = readerOf(text);
      expect(reader.next()).to.equal(false);
      expect(reader.fault, text).to.equal(ProtobufFault.BadVarint);
    }
  });

  it('checks the range of each integer type', () => {
    const large = readerOf('088080808010');
    expect(large.next()).to.equal(true);
    expect(large.u64()).to.equal(0x1_0000_0000);
    expect(large.u32()).to.equal(0);
    expect(large.fault).to.equal(ProtobufFault.OutOfRange);

    const safe = readerOf('08ffffffffffffff0f');
    expect(safe.next()).to.equal(true);
    expect(safe.u64()).to.equal(Number.MAX_SAFE_INTEGER);
    expect(safe.int64()).to.equal(Number.MAX_SAFE_INTEGER);

    for (const read of [(reader: ProtobufReader) => reader.u64(), (reader: ProtobufReader) => reader.int64()]) {
      const beyond = readerOf('088080808080808010');
      expect(beyond.next()).to.equal(true);
      expect(read(beyond)).to.equal(0);
      expect(beyond.fault).to.equal(ProtobufFault.OutOfRange);
    }
  });

  it('detects a wrong wire type and then stops', () => {
    const reader = readerOf('0801 1001');
    expect(reader.next()).to.equal(true);
    expect(reader.view()).to.have.length(0);
    expect(reader.fault).to.equal(ProtobufFault.WrongWireType);
    expect(reader.next()).to.equal(false);
    const bytes = readerOf('0a00');
    expect(bytes.next()).to.equal(true);
    expect(bytes.bool()).to.equal(false);
    expect(bytes.fault).to.equal(ProtobufFault.WrongWireType);
  });

  it('stops at truncation, at field zero and at groups', () => {
    const cases: [string, number][] = [
      ['08', ProtobufFault.Truncated],
      ['0880', ProtobufFault.Truncated],
      ['80', ProtobufFault.Truncated],
      ['0a05616263', ProtobufFault.Truncated],
      ['0affffffffffffffffff01', ProtobufFault.Truncated],
      ['0d010203', ProtobufFault.Truncated],
      ['0901020304050607', ProtobufFault.Truncated],
      ['0001', ProtobufFault.BadVarint],
      ['888080808010', ProtobufFault.BadVarint],
      ['0b0c', ProtobufFault.UnknownWireType],
      ['0e', ProtobufFault.UnknownWireType],
    ];
    for (const [text, fault] of cases) {
      const reader = readerOf(text);
      expect(reader.next(), text).to.equal(false);
      expect(reader.fault, text).to.equal(fault);
    }
  });

  it('keeps to its range of a larger buffer', () => {
    const bytes = hex('ffff 0801 ffff');
    const reader = new ProtobufReader(bytes, 2, 4);
    expect(reader.next()).to.equal(true);
    expect(reader.u32()).to.equal(1);
    expect(reader.next()).to.equal(false);
    expect(reader.fault).to.equal(0);
    const cut = new ProtobufReader(bytes, 2, 3);
    expect(cut.next()).to.equal(false);
    expect(cut.fault).to.equal(ProtobufFault.Truncated);
    expect(new ProtobufReader(bytes, 2, 99).fault).to.equal(ProtobufFault.Truncated);
  });
});

describe('ProtobufWriter', () => {
  it('writes canonical fields and leaves zeros out', () => {
    expect(written((writer) => writer.u32(1, 150))).to.equal('089601');
    expect(written((writer) => writer.u32(1, 0))).to.equal('');
    expect(written((writer) => writer.u32(100, 1))).to.equal('a00601');
    expect(written((writer) => writer.u32(1, 0xffffffff))).to.equal('08ffffffff0f');
    expect(written((writer) => writer.u64(1, 0, 1))).to.equal('088080808010');
    expect(written((writer) => writer.int64(1, -1))).to.equal('08ffffffffffffffffff01');
    expect(written((writer) => writer.int64(6, 253370768461))).to.equal('30cdb8ccf0af07');
    expect(written((writer) => writer.write(2, new Uint8Array(0)))).to.equal('1200');
    expect(written((writer) => writer.write(2, hex('00616263ff'), 1, 4))).to.equal('1203616263');
  });

  it('moves an embedded message when its length takes more bytes', () => {
    for (const length of [0, 1, 125, 126, 127, 128, 16381, 16384]) {
      const content = Uint8Array.from({ length }, (_, index) => index & 0xff);
      const direct = written((writer) => writer.write(1, Buffer.from(nested(content), 'hex')), 17000);
      const embedded = written((writer) => {
        const outer = writer.begin(1);
        const inner = writer.begin(7);
        for (const byte of content) {
          writer.bytes[writer.offset++] = byte;
        }
        writer.finish(inner);
        writer.finish(outer);
      }, 17000);
      expect(embedded).to.equal(direct);
    }
    function nested(content: Uint8Array): string {
      return written((writer) => writer.write(7, content), 17000);
    }
  });

  it('never writes past its buffer', () => {
    const actions: ((writer: ProtobufWriter) => void)[] = [
      (writer) => writer.u32(1, 0xffffffff),
      (writer) => writer.write(1, new Uint8Array(5)),
      (writer) => writer.finish(writer.begin(1)),
    ];
    for (const action of actions) {
      for (let capacity = 0; capacity < 8; capacity++) {
        const bytes = new Uint8Array(16);
        const writer = new ProtobufWriter(bytes.subarray(0, capacity));
        action(writer);
        const needed = writer.overflowed ? capacity + 1 : writer.offset;
        expect(needed > capacity).to.equal(writer.overflowed);
        expect(bytes.subarray(capacity).every((byte) => byte === 0)).to.equal(true);
      }
    }
    const full = new ProtobufWriter(new Uint8Array(129));
    const mark = full.begin(1);
    full.offset += 127;
    full.finish(mark);
    expect([full.offset, full.overflowed]).to.deep.equal([129, false]);
    const tight = new ProtobufWriter(new Uint8Array(130));
    const second = tight.begin(1);
    tight.offset += 128;
    tight.finish(second);
    expect(tight.overflowed).to.equal(true);
  });
});

describe('protobuf, random messages', () => {
  it('reads back what it wrote', () => {
    const random = new Random(0x70726f74);
    const buffer = new Uint8Array(4096);
    for (let round = 0; round < 2000; round++) {
      const writer = new ProtobufWriter(buffer);
      const expected: string[] = [];
      for (let count = random.below(10); count > 0; count--) {
        const field = 1 + random.below(random.bool() ? 20 : 0x1fff_ffff);
        if (random.bool()) {
          const low = random.u32() >>> random.below(32);
          const high = random.bool() ? 0 : random.u32() >>> random.below(32);
          writer.u64(field, low, high);
          if (low !== 0 || high !== 0) {
            expected.push(`${field}:${high}:${low}`);
          }
        } else {
          const content = random.bytes(random.below(200));
          writer.write(field, content);
          expected.push(`${field}:${Buffer.from(content).toString('hex')}`);
        }
      }
      const found: string[] = [];
      const reader = new ProtobufReader(writer.bytes, 0, writer.offset);
      while (reader.next()) {
        found.push(
          reader.wireType === WireType.Varint
            ? `${reader.field}:${reader.high}:${reader.low}`
            : `${reader.field}:${Buffer.from(reader.view()).toString('hex')}`,
        );
      }
      expect(reader.fault).to.equal(0);
      expect(found).to.deep.equal(expected);
    }
  });

  it('ends on any bytes, inside of its range', () => {
    const random = new Random(0x66757a7a);
    for (let round = 0; round < 20000; round++) {
      const bytes = random.bytes(random.below(40));
      const reader = new ProtobufReader(bytes);
      let fieldCount = 0;
      while (reader.next()) {
        fieldCount++;
        expect(reader.end).to.be.at.most(bytes.length);
      }
      expect(fieldCount).to.be.at.most(bytes.length);
    }
  });
});
