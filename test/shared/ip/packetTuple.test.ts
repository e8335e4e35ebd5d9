import { expect } from 'chai';
import { describe, it } from 'mocha';
import { addressFromBytes, writeMapped } from '../../../src/shared/ip/address.ts';
import { IpProtocol } from '../../../src/shared/ip/headers.ts';
import { PacketFault, PacketTuple, parsePacket } from '../../../src/shared/ip/packetTuple.ts';
import { Random } from '../../support/random.ts';
import {
  addressBytes,
  extension,
  fragmentHeader,
  icmp,
  ipv4,
  ipv6,
  tcp,
  udp,
  viewOf,
  zeros,
} from '../firewall/packets.ts';

const v4 = { source: '10.0.0.1', destination: '10.0.0.2' };
const v6 = { source: 'ff02::2', destination: 'ff02::1' };
const ports = Uint8Array.from([0, 3, 0, 4]);

function parse(bytes: Uint8Array, incoming: boolean): PacketTuple {
  const tuple = new PacketTuple();
  expect(parsePacket(bytes, viewOf(bytes), 0, bytes.length, incoming, tuple)).to.equal(0);
  return tuple;
}

function faultOf(bytes: Uint8Array | readonly number[]): number {
  const packet = Uint8Array.from(bytes);
  return parsePacket(packet, viewOf(packet), 0, packet.length, true, new PacketTuple());
}

function words(text: string): number[] {
  const mapped = new Uint8Array(16);
  writeMapped(addressFromBytes(addressBytes(text)), mapped, 0);
  const view = viewOf(mapped);
  return [0, 4, 8, 12].map((at) => view.getInt32(at));
}

function localOf(tuple: PacketTuple): number[] {
  return [tuple.local0, tuple.local1, tuple.local2, tuple.local3];
}

function remoteOf(tuple: PacketTuple): number[] {
  return [tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3];
}

describe('packet tuple', () => {
  describe('of IPv4', () => {
    it('refuses what is too short to have a header', () => {
      expect(faultOf([])).to.equal(PacketFault.Empty);
      expect(faultOf([0x40])).to.equal(PacketFault.Ipv4TooShort);
      expect(faultOf([0x60])).to.equal(PacketFault.Ipv6TooShort);
      expect(faultOf(zeros(20))).to.equal(PacketFault.UnknownVersion);
      expect(faultOf([0x42, ...zeros(19)])).to.equal(PacketFault.Ipv4HeaderLength);
    });

    it('takes source as remote when incoming and as local when outgoing', () => {
      const packet = ipv4({ ...v4, protocol: 6, payload: ports, optionWords: 1 });
      const incoming = parse(packet, true);
      expect(remoteOf(incoming)).to.deep.equal(words('10.0.0.1'));
      expect(localOf(incoming)).to.deep.equal(words('10.0.0.2'));
      expect([incoming.remotePort, incoming.localPort]).to.deep.equal([3, 4]);
      expect(incoming.ipHeaderLength).to.equal(24);
      const outgoing = parse(ipv4({ ...v4, protocol: 2, payload: Uint8Array.from([0, 5, 0, 6]) }), false);
      expect(localOf(outgoing)).to.deep.equal(words('10.0.0.1'));
      expect([outgoing.localPort, outgoing.remotePort]).to.deep.equal([5, 6]);
      expect(outgoing.protocol).to.equal(2);
    });

    it('needs four bytes behind the header, six for ICMP and none for a later fragment', () => {
      const short = (protocol: number, bytes: number, fragmentOffset: number) =>
        faultOf(ipv4({ ...v4, protocol, payload: new Uint8Array(bytes), fragmentOffset, optionWords: 2 }));
      expect(short(17, 3, 0)).to.equal(PacketFault.Ipv4Truncated);
      expect(short(17, 4, 0)).to.equal(0);
      expect(short(1, 5, 0)).to.equal(PacketFault.Ipv4Truncated);
      expect(short(1, 6, 0)).to.equal(0);
      expect(short(1, 0, 1)).to.equal(0);
      const cut = ipv4({ ...v4, protocol: 17, payload: ports, optionWords: 5, fragmentOffset: 1 }).subarray(0, 39);
      expect(faultOf(cut)).to.equal(PacketFault.Ipv4Truncated);
    });

    it('uses the ICMP identifier whatever the type', () => {
      for (const type of [0, 3, 8, 11, 13]) {
        const tuple = parse(ipv4({ ...v4, protocol: 1, payload: icmp(type, 0xabcd) }), type === 8);
        expect([tuple.localPort, tuple.remotePort]).to.deep.equal([0, 0xabcd]);
      }
    });

    it('gives ports to a first fragment and none to a later one', () => {
      const first = parse(ipv4({ ...v4, protocol: 17, payload: udp(7, 9), moreFragments: true }), true);
      expect([first.isFragment, first.localPort, first.remotePort]).to.deep.equal([false, 9, 7]);
      const later = parse(ipv4({ ...v4, protocol: 17, payload: udp(7, 9), fragmentOffset: 100 }), true);
      expect([later.isFragment, later.localPort, later.remotePort]).to.deep.equal([true, 0, 0]);
      const whole = parse(ipv4({ ...v4, protocol: 17, payload: udp(7, 9), dontFragment: true }), true);
      expect(whole.isFragment).to.equal(false);
    });
  });

  describe('of IPv6', () => {
    it('reads addresses and ports by direction', () => {
      const packet = ipv6({ ...v6, nextHeader: 17, payload: udp(36123, 22, 4) });
      const incoming = parse(packet, true);
      expect([remoteOf(incoming), localOf(incoming)]).to.deep.equal([words('ff02::2'), words('ff02::1')]);
      expect([incoming.remotePort, incoming.localPort, incoming.ipHeaderLength]).to.deep.equal([36123, 22, 40]);
      const outgoing = parse(packet, false);
      expect([outgoing.localPort, outgoing.remotePort]).to.deep.equal([36123, 22]);
      expect(faultOf(packet.subarray(0, packet.length - 10))).to.equal(PacketFault.Ipv6Truncated);
    });

    it('uses the identifier of ICMPv6 echo only', () => {
      for (const [type, port] of [
        [128, 0xabcd],
        [129, 0xabcd],
        [1, 0],
        [133, 0],
      ]) {
        const tuple = parse(ipv6({ ...v6, nextHeader: 58, payload: icmp(type, 0xabcd) }), true);
        expect([tuple.protocol, tuple.localPort, tuple.remotePort]).to.deep.equal([58, 0, port]);
      }
      const cut = (type: number, bytes: number) =>
        faultOf(ipv6({ ...v6, nextHeader: 58, payload: icmp(type, 1).subarray(0, bytes) }));
      expect(cut(128, 4)).to.equal(PacketFault.Ipv6Truncated);
      expect(cut(128, 6)).to.equal(0);
      expect(cut(1, 3)).to.equal(PacketFault.Ipv6Truncated);
      expect(cut(1, 4)).to.equal(0);
    });

    it('takes any other next header as the protocol, without ports', () => {
      for (const nextHeader of [2, 4, 41, 47, 50, 59, 132, 135, 139, 140, 253, 254, 255]) {
        for (const payload of [ports, new Uint8Array(0)]) {
          const tuple = parse(ipv6({ ...v6, nextHeader, payload }), true);
          expect([tuple.protocol, tuple.localPort, tuple.remotePort]).to.deep.equal([nextHeader, 0, 0]);
        }
      }
    });

    it('walks hop-by-hop, routing, destination, authentication and first-fragment headers', () => {
      const chain = [
        ...extension(43, 0),
        ...extension(60, 2),
        ...extension(51, 1),
        ...[44, 4, ...zeros(22)],
        ...fragmentHeader(6, 0, true),
        ...tcp({ sourcePort: 1, destinationPort: 2 }),
      ];
      const tuple = parse(ipv6({ ...v6, nextHeader: 0, payload: Uint8Array.from(chain) }), true);
      expect([tuple.protocol, tuple.isFragment, tuple.remotePort, tuple.localPort]).to.deep.equal([6, false, 1, 2]);
      expect(tuple.ipHeaderLength).to.equal(40 + 8 + 24 + 16 + 24 + 8);
      for (let length = 40; length < tuple.ipHeaderLength + 4; length++) {
        const packet = ipv6({ ...v6, nextHeader: 0, payload: Uint8Array.from(chain) });
        expect(faultOf(packet.subarray(0, length)), `cut to ${length}`).to.equal(PacketFault.Ipv6Truncated);
      }
    });

    it('stops at a later fragment', () => {
      const chain = [...extension(44, 0), ...fragmentHeader(60, 5, false), 1, 2, 3];
      const tuple = parse(ipv6({ ...v6, nextHeader: 60, payload: Uint8Array.from(chain) }), true);
      expect([tuple.protocol, tuple.isFragment, tuple.remotePort, tuple.localPort]).to.deep.equal([60, true, 0, 0]);
      expect(tuple.ipHeaderLength).to.equal(56);
      // A later fragment of ICMPv6 has no identifier to read.
      const bare = ipv6({ ...v6, nextHeader: 44, payload: Uint8Array.from(fragmentHeader(58, 1, true)) });
      expect(parse(bare, true).remotePort).to.equal(0);
    });

    it('takes what follows the eighth extension header as the protocol', () => {
      const eight = [0, 1, 2, 3, 4, 5, 6].flatMap(() => extension(60, 0));
      const reachable = parse(
        ipv6({ ...v6, nextHeader: 60, payload: Uint8Array.from([...eight, ...extension(17, 0), ...udp(1, 2)]) }),
        true,
      );
      expect([reachable.protocol, reachable.remotePort]).to.deep.equal([17, 1]);
      const beyond = [...eight, ...extension(60, 0), ...extension(17, 0), ...udp(1, 2)];
      const tuple = parse(ipv6({ ...v6, nextHeader: 60, payload: Uint8Array.from(beyond) }), true);
      expect([tuple.protocol, tuple.remotePort, tuple.ipHeaderLength]).to.deep.equal([60, 0, 40 + 64]);
    });

    it('refuses a declared length beyond the packet', () => {
      const hopByHop = [17, 255, ...zeros(6), ...udp(1, 2)];
      expect(faultOf(ipv6({ ...v6, nextHeader: 0, payload: Uint8Array.from(hopByHop) }))).to.equal(
        PacketFault.Ipv6Truncated,
      );
      expect(faultOf(ipv6({ ...v6, nextHeader: 51, payload: Uint8Array.from(hopByHop) }))).to.equal(
        PacketFault.Ipv6Truncated,
      );
    });

    it('refuses an IPv4-mapped address on either side', () => {
      for (const at of [8, 24]) {
        const packet = ipv6({ ...v6, nextHeader: 17, payload: udp(1, 2) });
        packet.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], at);
        expect(faultOf(packet)).to.equal(PacketFault.Ipv6MappedAddress);
      }
    });
  });

  it('reads at an offset and never beyond the packet', () => {
    const random = new Random(7);
    const tuple = new PacketTuple();
    for (let round = 0; round < 20_000; round++) {
      const body = random.bytes(random.below(90));
      if (body.length > 0) {
        body[0] = random.pick([0x45, 0x46, 0x60, body[0]]);
      }
      if (body.length > 6 && random.bool()) {
        body[6] = random.pick([0, 6, 17, 43, 44, 51, 58, 60]);
      }
      const exact = parsePacket(body, viewOf(body), 0, body.length, true, tuple);
      const wide = new Uint8Array(200).fill(random.below(256));
      const offset = random.below(50);
      wide.set(body, offset);
      const other = new PacketTuple();
      expect(parsePacket(wide, viewOf(wide), offset, body.length, true, other)).to.equal(exact);
      if (exact === 0) {
        expect({ ...other }).to.deep.equal({ ...tuple });
        expect(tuple.ipHeaderLength).to.be.at.most(body.length);
        for (const value of [...localOf(tuple), ...remoteOf(tuple)]) {
          expect(value | 0).to.equal(value);
        }
      }
    }
    expect(IpProtocol.Icmpv6).to.equal(58);
  });
});
