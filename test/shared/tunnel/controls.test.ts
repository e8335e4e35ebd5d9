import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Arena } from '../../../src/shared/sys/arena.ts';
import {
  CONTROL_BYTES,
  isLocalAddressSet,
  readControl32,
  readLocalAddress,
  writeControls,
} from '../../../src/shared/tunnel/controls.ts';
import { SocketFamily } from '../../../src/shared/tunnel/socketAddress.ts';

const IPV4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 22);
const IPV6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x22);

describe('control messages', () => {
  const arena = new Arena(4096);
  const control = arena.allocate(CONTROL_BYTES, 64);
  const local = arena.allocate(16, 8);
  const found = arena.allocate(16, 8);

  function roundTrip(family: SocketFamily, segmentSize: number, address: Uint8Array): [number, Uint8Array] {
    arena.bytes.fill(0xaa, control, control + CONTROL_BYTES);
    arena.bytes.set(address, local);
    const length = writeControls(arena, control, family, segmentSize, local);
    readLocalAddress(arena, control, length, family, found);
    return [length, arena.bytes.slice(found, found + 16)];
  }

  it('carry the local address of both families, alone and behind a segment size', () => {
    expect(roundTrip(SocketFamily.Ipv4, 0, IPV4)).to.deep.equal([32, IPV4]);
    expect(roundTrip(SocketFamily.Ipv4, 1400, IPV4)).to.deep.equal([56, IPV4]);
    expect(roundTrip(SocketFamily.Ipv6, 0, IPV6)).to.deep.equal([40, IPV6]);
    expect(roundTrip(SocketFamily.Ipv6, 1400, IPV6)).to.deep.equal([64, IPV6]);
    expect(roundTrip(SocketFamily.Ipv6, 0, IPV4), 'mapped').to.deep.equal([40, IPV4]);
    expect(CONTROL_BYTES).to.be.at.least(64);
  });

  it('are none without a size and an address', () => {
    const nothing = new Uint8Array(16);
    expect(roundTrip(SocketFamily.Ipv4, 0, nothing)).to.deep.equal([0, nothing]);
    expect(roundTrip(SocketFamily.Ipv6, 1400, nothing)).to.deep.equal([24, nothing]);
    expect(isLocalAddressSet(arena.view, found)).to.equal(false);
  });

  it('leave out a link-local address, which means nothing without its interface', () => {
    const linkLocal = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
    expect(roundTrip(SocketFamily.Ipv6, 0, linkLocal)[1]).to.deep.equal(new Uint8Array(16));
  });

  it('are read whatever their lengths say, never beyond the end', () => {
    roundTrip(SocketFamily.Ipv4, 1400, IPV4);
    expect(readControl32(arena, control, 24, 17, 103), 'a value of two bytes').to.equal(0);
    for (const size of [0, 1, 15, 0x7fff_ffff, 0xffff_ffff]) {
      arena.view.setUint32(control, size, true);
      readLocalAddress(arena, control, 56, SocketFamily.Ipv4, found);
      expect(isLocalAddressSet(arena.view, found), String(size)).to.equal(false);
    }
    readLocalAddress(arena, control, 3, SocketFamily.Ipv4, found);
    expect(isLocalAddressSet(arena.view, found)).to.equal(false);
  });
});
