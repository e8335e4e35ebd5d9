/**
 * The 10-byte virtio network header that precedes every packet on a tun device opened with IFF_VNET_HDR.
 *
 *   0 flags 1 | 1 gso_type 1 | 2 hdr_len 2 | 4 gso_size 2 | 6 csum_start 2 | 8 csum_offset 2
 *
 * Fields are in host byte order (the legacy form; little endian on every machine we run on). virtio 1.2 §5.1.6,
 * `uapi/linux/virtio_net.h`; Nebula protocol: opening the tun. Nothing here judges the values: they come from our kernel
 * but may describe a forwarded packet, and whoever segments checks them.
 */

export const VIRTIO_HEADER_BYTES = 10;

export const VirtioFlag = { NeedsChecksum: 1, DataValid: 2, ReceiveCoalesced: 4 } as const;

/** `EcnBit` may be set on top of a TCP type. */
export const GsoType = { None: 0, Tcp4: 1, Tcp6: 4, Udp: 5, EcnBit: 0x80 } as const;

export function virtioFlags(view: DataView, offset: number): number {
  return view.getUint8(offset);
}

export function virtioGsoType(view: DataView, offset: number): number {
  return view.getUint8(offset + 1);
}

export function virtioGsoSize(view: DataView, offset: number): number {
  return view.getUint16(offset + 4, true);
}

export function virtioChecksumStart(view: DataView, offset: number): number {
  return view.getUint16(offset + 6, true);
}

export function virtioChecksumOffset(view: DataView, offset: number): number {
  return view.getUint16(offset + 8, true);
}

/** Writes a header; values are cut to their fields' widths. */
export function writeVirtioHeader(
  view: DataView,
  offset: number,
  flags: number,
  gsoType: number,
  headerLength: number,
  gsoSize: number,
  checksumStart: number,
  checksumOffset: number,
): void {
  view.setUint8(offset, flags);
  view.setUint8(offset + 1, gsoType);
  view.setUint16(offset + 2, headerLength, true);
  view.setUint16(offset + 4, gsoSize, true);
  view.setUint16(offset + 6, checksumStart, true);
  view.setUint16(offset + 8, checksumOffset, true);
}

/** A packet of its own whose checksum is complete: what every packet that is not a super-packet carries into the tun. */
export function writePlainVirtioHeader(view: DataView, offset: number): void {
  writeVirtioHeader(view, offset, VirtioFlag.DataValid, GsoType.None, 0, 0, 0, 0);
}
