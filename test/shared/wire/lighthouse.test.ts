import { expect } from 'chai';
import { describe, it } from 'mocha';
import { addressOfWords, addressWords } from '../../../src/shared/ip/networkWords.ts';
import { LighthouseDecoder, LighthouseFault } from '../../../src/shared/wire/lighthouseDecoder.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import {
  addEndpoint,
  endpointsOf,
  LighthouseMessage,
  LighthouseType,
  relaysOf,
  targetOf,
} from '../../../src/shared/wire/lighthouseMessage.ts';
import { ep, ip } from '../../support/addresses.ts';
import { Random } from '../../support/random.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

interface Fields {
  readonly type: number;
  readonly version: 1 | 2;
  readonly target: string | null;
  readonly endpoints: readonly string[];
  readonly relays: readonly string[];
}

const { HostQuery, HostQueryReply, HostUpdateNotification, HostPunchNotification, HostUpdateNotificationAck } =
  LighthouseType;
const fields = (
  type: number,
  version: 1 | 2,
  target: string | null,
  endpoints: string[] = [],
  relays: string[] = [],
): Fields => ({ type, version, target, endpoints, relays });

const vectors: [string, string, Fields][] = [
  ['query v1', '08011205088280a851', fields(HostQuery, 1, '10.42.0.2')],
  ['query v2, IPv4', '0801120a3208108280a8d1f0ff3f', fields(HostQuery, 2, '10.42.0.2')],
  ['query v2, IPv6', '0801120f320d0880808080808080a1fd011002', fields(HostQuery, 2, 'fd42::2')],
  [
    'reply v1',
    '08021221088280a85112090887c8cdb10c1092211209088582a0850c1092212a048980a851',
    fields(HostQueryReply, 1, '10.42.0.2', ['198.51.100.7:4242', '192.168.1.5:4242'], ['10.42.0.9']),
  ],
  [
    'reply v2',
    '0802123012090887c8cdb10c109221220f088080808080b7c3802010071892213208108280a8d1f0ff3f3a08108980a8d1f0ff3f',
    fields(HostQueryReply, 2, '10.42.0.2', ['198.51.100.7:4242', '[2001:db8::7]:4242'], ['10.42.0.9']),
  ],
  [
    'update v1',
    '08031210088180a8511209088482a0850c109221',
    fields(HostUpdateNotification, 1, '10.42.0.1', ['192.168.1.4:4242']),
  ],
  ['update v2', '0803120b1209088482a0850c109221', fields(HostUpdateNotification, 2, null, ['192.168.1.4:4242'])],
  ['ack v1', '080a1205088180a851', fields(HostUpdateNotificationAck, 1, '10.42.0.1')],
  ['ack v2', '080a1200', fields(HostUpdateNotificationAck, 2, null)],
  [
    'punch v1',
    '08051211088180a851120a0889e281d80c10d08603',
    fields(HostPunchNotification, 1, '10.42.0.1', ['203.0.113.9:50000']),
  ],
];

describe('shared/wire/lighthouse', () => {
  const decoder = new LighthouseDecoder();
  const message = new LighthouseMessage();
  const buffer = new Uint8Array(2 * LIGHTHOUSE_BYTES_MAX);

  function decode(text: string): number {
    const bytes = hex(text);
    return decoder.decode(bytes, 0, bytes.length, message);
  }

  function contents(): Fields {
    return {
      type: message.type,
      version: message.version as 1 | 2,
      target: targetOf(message)?.text ?? null,
      endpoints: endpointsOf(message).map((endpoint) => endpoint.text),
      relays: relaysOf(message).map((relay) => relay.text),
    };
  }

  function fill(wanted: Fields): void {
    message.reset();
    message.type = wanted.type;
    message.version = wanted.version;
    if (wanted.target !== null) {
      const [a0, a1, a2, a3] = addressWords([ip(wanted.target)]);
      message.setTarget(wanted.version, a0, a1, a2, a3);
    }
    for (const endpoint of wanted.endpoints) {
      addEndpoint(message, ep(endpoint));
    }
    for (const relay of wanted.relays) {
      const [a0, a1, a2, a3] = addressWords([ip(relay)]);
      message.addRelay(a0, a1, a2, a3);
    }
  }

  for (const [name, text, expected] of vectors) {
    it(`decodes and encodes ${name} to the byte`, () => {
      expect(decode(text)).to.equal(0);
      expect(contents()).to.deep.equal(expected);
      fill(expected);
      const length = encodeLighthouse(message, buffer, 5);
      expect(Buffer.from(buffer.subarray(5, 5 + length)).toString('hex')).to.equal(text);
    });
  }

  it('decodes inside of a larger buffer and leaves the rest alone', () => {
    const bytes = hex('ffff 08011205088280a851 18');
    expect(decoder.decode(bytes, 2, 9, message)).to.equal(0);
    expect(targetOf(message)?.text).to.equal('10.42.0.2');
    expect(decoder.decode(bytes, 2, 10, message)).to.equal(LighthouseFault.Truncated);
  });

  it('takes relays of the v1 form packed or one by one', () => {
    expect(decode('0802 120f 088280a851 28 8980a851 28 8a80a851')).to.equal(0);
    expect(contents().relays).to.deep.equal(['10.42.0.9', '10.42.0.10']);
    expect(decode('0802 120f 088280a851 2a08 8980a851 8a80a851')).to.equal(0);
    expect(contents().relays).to.deep.equal(['10.42.0.9', '10.42.0.10']);
  });

  it('leaves IPv6 relays out of the v1 form', () => {
    fill(fields(HostUpdateNotification, 1, '10.42.0.1', [], ['fd42::9', '10.42.0.9']));
    const length = encodeLighthouse(message, buffer, 0);
    expect(decoder.decode(buffer, 0, length, message)).to.equal(0);
    expect(contents().relays).to.deep.equal(['10.42.0.9']);
    fill(fields(HostUpdateNotification, 1, '10.42.0.1', [], ['fd42::9']));
    expect(Buffer.from(buffer.subarray(0, encodeLighthouse(message, buffer, 0))).toString('hex')).to.equal(
      '08031205088180a851',
    );
  });

  it('prefers the v1 address, keeps the last of a repeated scalar and merges split details', () => {
    expect(decode('0801 120f 3208108280a8d1f0ff3f 088380a851')).to.equal(0);
    expect([message.version, targetOf(message)?.text]).to.deep.equal([1, '10.42.0.3']);
    expect(decode('0801 0802 120a 088280a851 088380a851')).to.equal(0);
    expect([message.type, targetOf(message)?.text]).to.deep.equal([2, '10.42.0.3']);
    expect(decode('0801 1205 088280a851 120b 1209088482a0850c109221')).to.equal(0);
    expect(contents().endpoints).to.deep.equal(['192.168.1.4:4242']);
  });

  it('skips unknown fields of every wire type', () => {
    expect(decode('0801 8001ff01 1d01020304 21 0102030405060708 2a0101 1205 088280a851')).to.equal(0);
    expect(targetOf(message)?.text).to.equal('10.42.0.2');
    expect(decode('0801 120f 088280a851 4001 420150 4d01020304')).to.equal(0);
  });

  it('unmaps IPv4 that comes in 16 bytes', () => {
    expect(decode('0803 120d 220b 108482a085fcff3f 18b26d')).to.equal(0);
    expect(contents().endpoints).to.deep.equal(['192.168.1.4:14002']);
  });

  const faults: [string, string, number][] = [
    ['an empty message', '', LighthouseFault.NoDetails],
    ['a type alone', '0801', LighthouseFault.NoDetails],
    ['a query without address', '08011200', LighthouseFault.NoTarget],
    ['a reply without address', '0802120b1209088482a0850c109221', LighthouseFault.NoTarget],
    ['a punch notification without address', '08051200', LighthouseFault.NoTarget],
    ['details cut short', '08011206088280a851', LighthouseFault.Truncated],
    ['an endpoint that outgrows the details', '0803 1203 120508', LighthouseFault.Truncated],
    ['a varint without end', '08ff', LighthouseFault.Truncated],
    ['a varint of eleven bytes', '08ffffffffffffffffffff01', LighthouseFault.BadVarint],
    ['a field number zero', '0000', LighthouseFault.BadVarint],
    ['a tag beyond 32 bits', '88808080808001 00', LighthouseFault.BadVarint],
    ['a group', '0801 1b 1c', LighthouseFault.UnknownWireType],
    ['a type that is a string', '0a00', LighthouseFault.WrongWireType],
    ['details that are a varint', '0801 1001', LighthouseFault.WrongWireType],
    ['an address that is a string', '0801 1202 0a00', LighthouseFault.WrongWireType],
    ['an endpoint that is a varint', '0803 1202 1001', LighthouseFault.WrongWireType],
    ['relays that are fixed32', '0803 1205 2d01020304', LighthouseFault.WrongWireType],
    ['a port that is fixed32', '0803 1207 1205 1501020304', LighthouseFault.WrongWireType],
    ['a type of 33 bits', '08 8080808010 1200', LighthouseFault.OutOfRange],
    ['an IPv4 address of 33 bits', '0801 1206 088080808010', LighthouseFault.OutOfRange],
    ['a port of 17 bits', '0803 1206 1204 10808004', LighthouseFault.OutOfRange],
    ['an IPv6 port of 17 bits', '0803 1206 2204 18808004', LighthouseFault.OutOfRange],
  ];
  for (const [name, text, fault] of faults) {
    it(`refuses ${name}`, () => {
      expect(decode(text)).to.equal(fault);
    });
  }

  it('keeps the first ten of each list and counts the rest', () => {
    const many = '1209088482a0850c109221'.repeat(12) + '220410011801'.repeat(11);
    const relays = `2a22${'8980a851'.repeat(6)}${'8102'.repeat(5)}`;
    const details = many + relays;
    const bytes = hex(details);
    const whole = Buffer.concat([hex('080312'), Buffer.from([(bytes.length & 0x7f) | 0x80, bytes.length >> 7]), bytes]);
    expect(decoder.decode(whole, 0, whole.length, message)).to.equal(0);
    expect([message.v4Count, message.v6Count, message.relayCount]).to.deep.equal([10, 10, 10]);
    expect(message.excessCount).to.equal(2 + 1 + 1);
  });

  it('does not start to write where a message might not fit', () => {
    fill(fields(HostQuery, 1, '10.42.0.2'));
    expect(encodeLighthouse(message, new Uint8Array(LIGHTHOUSE_BYTES_MAX - 1), 0)).to.equal(-1);
    expect(encodeLighthouse(message, new Uint8Array(LIGHTHOUSE_BYTES_MAX), 0)).to.equal(9);
  });

  it('leaves out endpoints of port 0, which reach nobody', () => {
    fill(fields(HostQueryReply, 2, '10.42.0.2', ['192.0.2.1:0', '192.0.2.2:1', '[2001:db8::1]:0']));
    expect(contents().endpoints).to.deep.equal(['192.0.2.2:1']);
  });

  it('gives back whatever it encoded, up to the largest message', () => {
    const random = new Random(6);
    const largest = { length: 0 };
    for (let round = 0; round < 3000; round++) {
      const version = random.bool() ? 1 : 2;
      const extreme = round === 0;
      const word = (): number => (extreme ? -1 : random.u32() >> random.below(32));
      message.reset();
      message.type = random.pick([HostQueryReply, HostPunchNotification]);
      message.setTarget(
        version,
        version === 1 ? 0 : word(),
        version === 1 ? 0 : word(),
        version === 1 ? 0xffff : word(),
        word() | 1,
      );
      for (let index = extreme ? 10 : random.below(11); index > 0; index--) {
        message.addV4(word(), extreme ? 65535 : random.below(65536));
        message.addV6(word(), word(), word(), word(), extreme ? 65535 : random.below(65536));
        message.addRelay(
          version === 1 ? 0 : word(),
          version === 1 ? 0 : word(),
          version === 1 ? 0xffff : word(),
          word(),
        );
      }
      const before = JSON.stringify({ ...contents(), v6: [...message.v6Addresses.subarray(0, message.v6Count * 4)] });
      const length = encodeLighthouse(message, buffer, 3);
      largest.length = Math.max(largest.length, length);
      expect(decoder.decode(buffer, 3, length, message)).to.equal(0);
      const after = JSON.stringify({ ...contents(), v6: [...message.v6Addresses.subarray(0, message.v6Count * 4)] });
      expect(after).to.equal(before);
    }
    expect(largest.length).to.be.lessThan(LIGHTHOUSE_BYTES_MAX - 40);
  });

  it('turns words into addresses and back', () => {
    for (const text of ['0.0.0.0', '10.42.0.2', '255.255.255.255', 'fd42::2', '::', 'ffff::ffff:1:2']) {
      const [a0, a1, a2, a3] = addressWords([ip(text)]);
      expect(addressOfWords(a0, a1, a2, a3).text).to.equal(text);
    }
  });
});
