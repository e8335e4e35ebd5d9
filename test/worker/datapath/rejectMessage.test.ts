import { expect } from 'chai';
import { describe, it } from 'mocha';
import { PacketTuple, parsePacket } from '../../../src/shared/ip/packetTuple.ts';
import { buildReject, REJECT_BYTES_MAX } from '../../../src/worker/datapath/rejectMessage.ts';
import { extension, fragmentHeader, icmp, ipv4, ipv6, tcp, udp, viewOf } from '../../shared/firewall/packets.ts';
import { Random } from '../../support/random.ts';

const v4 = { source: '10.0.0.1', destination: '10.0.0.2' };
const v6 = { source: 'fd00::1', destination: 'fd00::2' };
const flagSyn = 0x02;
const flagRst = 0x04;
const flagAck = 0x10;

/** The answer to a packet, checked for what holds of every answer; empty when there is none. */
function reject(packet: Uint8Array, incoming: boolean = true): Uint8Array {
  const tuple = new PacketTuple();
  const sourceBytes = packet.length + 7;
  const memory = new Uint8Array(sourceBytes + REJECT_BYTES_MAX + 20).fill(0xee, 0, sourceBytes);
  memory.set(packet, 3);
  expect(parsePacket(memory, viewOf(memory), 3, packet.length, incoming, tuple)).to.equal(0);
  const target = memory.subarray(sourceBytes).fill(0xdd);
  const length = buildReject(memory, viewOf(memory), 3, packet.length, tuple, sourceBytes + 11);
  expect(length).to.be.at.most(REJECT_BYTES_MAX);
  expect(target.subarray(0, 11).every((byte) => byte === 0xdd)).to.equal(true);
  expect(target.subarray(11 + length).every((byte) => byte === 0xdd)).to.equal(true);
  const answer = target.slice(11, 11 + length);
  if (length > 0) {
    expectSound(answer, packet);
  }
  return answer;
}

/** Addresses swapped, length field and every checksum right, and no answer to it. */
function expectSound(answer: Uint8Array, packet: Uint8Array): void {
  const isIpv4 = answer[0] >> 4 === 4;
  const [at, size] = isIpv4 ? [12, 4] : [8, 16];
  expect([...answer.subarray(at, at + size)]).to.deep.equal([...packet.subarray(at + size, at + 2 * size)]);
  expect([...answer.subarray(at + size, at + 2 * size)]).to.deep.equal([...packet.subarray(at, at + size)]);
  const headerLength = isIpv4 ? 20 : 40;
  const upper = answer.subarray(headerLength);
  const protocol = answer[isIpv4 ? 9 : 6];
  expect(viewOf(answer).getUint16(isIpv4 ? 2 : 4)).to.equal(isIpv4 ? answer.length : upper.length);
  expect(answer[isIpv4 ? 8 : 7]).to.equal(64);
  if (isIpv4) {
    expect(sum(answer.subarray(0, 20))).to.equal(0xffff);
  }
  const pseudo =
    protocol === 1 ? [] : [...answer.subarray(at, at + 2 * size), 0, protocol, upper.length >> 8, upper.length & 255];
  expect(sum(Uint8Array.from([...pseudo, ...upper]))).to.equal(0xffff);
  const tuple = new PacketTuple();
  expect(parsePacket(answer, viewOf(answer), 0, answer.length, false, tuple)).to.equal(0);
  const memory = new Uint8Array(answer.length + REJECT_BYTES_MAX);
  memory.set(answer);
  expect(buildReject(memory, viewOf(memory), 0, answer.length, tuple, answer.length)).to.equal(0);
}

/** RFC 1071, one 16-bit word at a time. */
function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let index = 0; index < bytes.length; index += 2) {
    total += (bytes[index] << 8) | (bytes[index + 1] ?? 0);
  }
  while (total > 0xffff) {
    total = (total & 0xffff) + (total >>> 16);
  }
  return total;
}

describe('reject', () => {
  describe('of IPv4', () => {
    it('quotes the header and eight bytes in an ICMP message, 96 bytes at most', () => {
      const packet = ipv4({ ...v4, protocol: 1, payload: icmp(8, 1).subarray(0, 6) });
      expect(reject(ipv4({ ...v4, protocol: 17, payload: Uint8Array.from([0, 1, 0, 2]) }))).to.have.length(52);
      const answer = reject(packet);
      expect([...answer.subarray(20, 22)]).to.deep.equal([3, 13]);
      expect([...answer.subarray(28)]).to.deep.equal([...packet]);
      const large = ipv4({ ...v4, protocol: 17, payload: udp(1, 2, 1000), optionWords: 10 });
      const quoted = reject(large);
      expect(quoted).to.have.length(96);
      expect([...quoted.subarray(28)]).to.deep.equal([...large.subarray(0, 68)]);
    });

    it('answers TCP with a reset, whatever options the packet has', () => {
      const packet = ipv4({
        ...v4,
        protocol: 6,
        payload: tcp({ sourcePort: 1000, destinationPort: 22, seq: 7, optionWords: 10, bodyLength: 3 }),
        optionWords: 10,
      });
      const answer = reject(packet);
      expect(answer).to.have.length(40);
      const view = viewOf(answer);
      expect([view.getUint16(20), view.getUint16(22)]).to.deep.equal([22, 1000]);
      expect([view.getUint32(24), view.getUint32(28), answer[33]]).to.deep.equal([0, 7 + 1 + 3, flagRst | flagAck]);
      expect([view.getUint16(4), view.getUint16(34)]).to.deep.equal([0, 0]);
    });

    it('answers first and unfragmented packets, and no later fragment', () => {
      const payload = udp(1, 2);
      expect(reject(ipv4({ ...v4, protocol: 17, payload, moreFragments: true }))).to.have.length(56);
      expect(reject(ipv4({ ...v4, protocol: 17, payload, dontFragment: true }))).to.have.length(56);
      expect(reject(ipv4({ ...v4, protocol: 17, payload, fragmentOffset: 1 }))).to.have.length(0);
      const last = ipv4({ ...v4, protocol: 6, payload: tcp({ sourcePort: 1, destinationPort: 2 }), fragmentOffset: 9 });
      expect(reject(last)).to.have.length(0);
    });

    it('answers no ICMP error', () => {
      const lengthOf = (type: number) => reject(ipv4({ ...v4, protocol: 1, payload: icmp(type, 1) })).length;
      expect([3, 4, 5, 11, 12].map(lengthOf)).to.deep.equal([0, 0, 0, 0, 0]);
      expect([0, 8, 13, 14].map(lengthOf)).to.deep.equal([56, 56, 56, 56]);
    });

    it('answers nothing that is not from one host to one host', () => {
      const lengthBetween = (source: string, destination: string) =>
        reject(ipv4({ source, destination, protocol: 17, payload: udp(1, 2) })).length;
      expect(lengthBetween('10.0.0.1', '224.0.0.251')).to.equal(0);
      expect(lengthBetween('10.0.0.1', '255.255.255.255')).to.equal(0);
      expect(lengthBetween('0.0.0.0', '10.0.0.1')).to.equal(0);
      expect(lengthBetween('10.0.0.1', '10.0.0.2')).to.equal(56);
    });
  });

  describe('of IPv6', () => {
    it('quotes up to 1000 bytes in an ICMPv6 message', () => {
      const packet = ipv6({ ...v6, nextHeader: 17, payload: udp(1, 2, 12) });
      const answer = reject(packet);
      expect(answer).to.have.length(108);
      expect([answer[6], answer[40], answer[41]]).to.deep.equal([58, 1, 1]);
      expect([...answer.subarray(48)]).to.deep.equal([...packet]);
      expect(reject(ipv6({ ...v6, nextHeader: 17, payload: udp(1, 2, 1192) }))).to.have.length(1048);
    });

    it('answers TCP with a reset', () => {
      const syn = ipv6({ ...v6, nextHeader: 6, payload: tcp({ sourcePort: 5, destinationPort: 6, seq: 1000 }) });
      const toSyn = reject(syn);
      expect([toSyn.length, toSyn[53], viewOf(toSyn).getUint32(48)]).to.deep.equal([60, flagRst | flagAck, 1001]);
      expect([viewOf(toSyn).getUint16(40), viewOf(toSyn).getUint16(42)]).to.deep.equal([6, 5]);
      const payload = tcp({ sourcePort: 5, destinationPort: 6, ack: 2000, flags: flagAck });
      const toAck = reject(ipv6({ ...v6, nextHeader: 6, payload }));
      expect([toAck[53], viewOf(toAck).getUint32(44), viewOf(toAck).getUint32(48)]).to.deep.equal([flagRst, 2000, 0]);
    });

    it('looks behind extension headers and first fragments, and not behind later ones', () => {
      const segment = tcp({ sourcePort: 5, destinationPort: 6 });
      const behind = (nextHeader: number, header: number[]) =>
        reject(ipv6({ ...v6, nextHeader, payload: Uint8Array.from([...header, ...segment]) })).length;
      expect(behind(0, extension(6, 0))).to.equal(60);
      expect(behind(44, fragmentHeader(6, 0, true))).to.equal(60);
      expect(behind(44, fragmentHeader(6, 2, false))).to.equal(0);
    });

    it('answers no ICMPv6 error, no redirect and no multicast', () => {
      const lengthOf = (type: number) => reject(ipv6({ ...v6, nextHeader: 58, payload: icmp(type, 1) })).length;
      expect([1, 2, 3, 4, 127, 137].map(lengthOf)).to.deep.equal([0, 0, 0, 0, 0, 0]);
      expect([128, 129, 133, 134].map(lengthOf)).to.deep.equal([96, 96, 96, 96]);
      const multicast = ipv6({ source: 'fd00::1', destination: 'ff02::fb', nextHeader: 17, payload: udp(1, 2) });
      expect(reject(multicast)).to.have.length(0);
    });
  });

  it('counts SYN, FIN and payload in the acknowledgement, modulo 2^32', () => {
    const ackOf = (flags: number, seq: number, bodyLength: number) => {
      const payload = tcp({ sourcePort: 1, destinationPort: 2, seq, flags, bodyLength });
      return viewOf(reject(ipv4({ ...v4, protocol: 6, payload }))).getUint32(28);
    };
    expect(ackOf(flagSyn, 0xffff_ffff, 0)).to.equal(0);
    expect(ackOf(flagSyn | 0x01, 100, 10)).to.equal(112);
    expect(ackOf(0, 0xffff_fff0, 32)).to.equal(16);
  });

  it('answers no reset and no TCP header that is cut short', () => {
    const withFlags = (flags: number) => tcp({ sourcePort: 1, destinationPort: 2, flags });
    expect(reject(ipv4({ ...v4, protocol: 6, payload: withFlags(flagRst) }))).to.have.length(0);
    expect(reject(ipv4({ ...v4, protocol: 6, payload: withFlags(flagRst | flagAck) }))).to.have.length(0);
    expect(reject(ipv4({ ...v4, protocol: 6, payload: withFlags(flagSyn).subarray(0, 19) }))).to.have.length(0);
    expect(reject(ipv4({ ...v4, protocol: 6, payload: withFlags(flagSyn) }))).to.have.length(40);
  });

  it('is sound for whatever parses', () => {
    const random = new Random(11);
    let answered = 0;
    for (let round = 0; round < 3000; round++) {
      const payload = random.bytes(4 + random.below(200));
      const protocol = random.pick([1, 6, 17, 47, 58]);
      const packet = random.bool()
        ? ipv4({ ...v4, protocol, payload, optionWords: random.below(11) })
        : ipv6({ ...v6, nextHeader: random.pick([0, 44, 60, protocol]), payload });
      const tuple = new PacketTuple();
      if (parsePacket(packet, viewOf(packet), 0, packet.length, true, tuple) === 0) {
        answered += reject(packet, random.bool()).length > 0 ? 1 : 0;
      }
    }
    expect(answered).to.be.above(1000);
  });
});
