/**
 * Messages of rtnetlink as bytes: building requests, reading answers. Pure functions, no socket. Routes have a file of
 * their own (`netlinkRoutes.ts`).
 *
 * Links and addresses in our words on one side, messages (`netlinkBytes.ts`) on the other. rtnetlink(7), RFC 3549,
 * Linux `uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h`. `netlink.ts` does the I/O.
 */
import { addressFromBytes, type Prefix, prefixOf } from '../../shared/ip/address.ts';
import { AF_INET, AF_INET6 } from '../../shared/sys/abi.ts';
import {
  attributesOf,
  MESSAGE_HEADER_BYTES,
  MessageBuilder,
  type MessageSpan,
  number32,
  textOf,
  viewOf,
} from './netlinkBytes.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly txQueueLength: number;
  /** Administratively up. */
  readonly isUp: boolean;
  /** Operationally up: cable in, or for a tun device a reader attached. */
  readonly isRunning: boolean;
  /** What made it: `tun`, `bridge`, `veth` …; '' for the driver of a network card. */
  readonly kind: string;
}

export interface LinkAddress {
  readonly linkIndex: number;
  /** The address of this host with its prefix length. */
  readonly prefix: Prefix;
}

/** What a change of a link needs; what is absent stays. */
export interface LinkSettings {
  readonly isUp?: boolean;
  readonly mtu?: number;
  readonly txQueueLength?: number;
  /** No link-local address is made up for the device. */
  readonly noIpv6LinkLocal?: boolean;
  /** Index of the bridge that it becomes a port of. */
  readonly master?: number;
}

/** A link that does not exist yet: a bridge, or one end of a virtual cable. */
export interface NewLink {
  readonly name: string;
  /** The other end of the cable, and a descriptor of the network namespace it appears in; a bridge has none. */
  readonly peer?: { readonly name: string; readonly namespaceFd: number };
}

export const NetlinkType = {
  Error: 2,
  Done: 3,
  NewLink: 16,
  DeleteLink: 17,
  GetLink: 18,
  SetLink: 19,
  NewAddress: 20,
  DeleteAddress: 21,
  GetAddress: 22,
  NewRoute: 24,
  DeleteRoute: 25,
  GetRoute: 26,
} as const;

/** Request flags: `Replace` and `Exclusive` say what to do when the object exists already. */
export const RequestFlag = {
  Ack: 0x4,
  Dump: 0x300,
  Replace: 0x100,
  Create: 0x400,
  Exclusive: 0x200,
} as const;

/** Changes a link. With a link index of 0 the kernel refuses. */
export function setLinkRequest(sequence: number, linkIndex: number, settings: LinkSettings): Uint8Array {
  const message = new MessageBuilder(NetlinkType.SetLink, RequestFlag.Ack, sequence);
  const flags = settings.isUp === true ? INTERFACE_UP : 0;
  const change = settings.isUp === undefined ? 0 : INTERFACE_UP;
  message.u8(0).u8(0).u16(0).u32(linkIndex).u32(flags).u32(change);
  if (settings.mtu !== undefined) {
    message.attribute32(LinkAttribute.Mtu, settings.mtu);
  }
  if (settings.txQueueLength !== undefined) {
    message.attribute32(LinkAttribute.TxQueueLength, settings.txQueueLength);
  }
  if (settings.master !== undefined) {
    message.attribute32(LinkAttribute.Master, settings.master);
  }
  if (settings.noIpv6LinkLocal === true) {
    message.nest(LinkAttribute.FamilySpecific, () => {
      message.nest(AF_INET6, () => message.attribute8(INET6_ADDRESS_GENERATION_MODE, ADDRESS_GENERATION_NONE));
    });
  }
  return message.finish();
}

/** Makes a link in the network namespace of the socket; refused when the name is taken. */
export function addLinkRequest(sequence: number, link: NewLink): Uint8Array {
  const flags = RequestFlag.Ack | RequestFlag.Create | RequestFlag.Exclusive;
  const message = new MessageBuilder(NetlinkType.NewLink, flags, sequence);
  const { name, peer } = link;
  message.u32(0).u32(0).u32(0).u32(0);
  message.attribute(LinkAttribute.Name, nulTerminated(name));
  message.nest(LinkAttribute.Information, () => {
    message.attribute(LinkInformation.Kind, nulTerminated(peer === undefined ? 'bridge' : 'veth'));
    if (peer !== undefined) {
      message.nest(LinkInformation.Data, () => {
        message.nest(VETH_PEER, () => {
          message.u32(0).u32(0).u32(0).u32(0);
          message.attribute(LinkAttribute.Name, nulTerminated(peer.name));
          message.attribute32(LinkAttribute.NamespaceFd, peer.namespaceFd);
        });
      });
    }
  });
  return message.finish();
}

/** Adds or replaces an address. IPv6 ones are usable at once, without duplicate detection. */
export function addAddressRequest(sequence: number, address: LinkAddress): Uint8Array {
  const flags = RequestFlag.Ack | RequestFlag.Create | RequestFlag.Replace;
  return addressRequest(NetlinkType.NewAddress, flags, sequence, address);
}

export function removeAddressRequest(sequence: number, address: LinkAddress): Uint8Array {
  return addressRequest(NetlinkType.DeleteAddress, RequestFlag.Ack, sequence, address);
}

/** Asks for all links, addresses or routes: `type` is one of the Get types. */
export function dumpRequest(sequence: number, type: number): Uint8Array {
  const message = new MessageBuilder(type, RequestFlag.Dump, sequence);
  // One fixed part is as good as the other here: family 0, everything else 0, of the longest form.
  message.u32(0).u32(0).u32(0).u32(0);
  return message.finish();
}

/** errno of an error message (0: acknowledged), and the kernel's own words where it has some. */
export function parseError(bytes: Uint8Array, span: MessageSpan): { readonly errno: number; readonly text: string } {
  if (span.end - span.start < 4) {
    return { errno: 0, text: '' };
  }
  const errno = -viewOf(bytes).getInt32(span.start, true);
  // With the answer capped (NETLINK_CAP_ACK) the extended attributes follow the bare header of the request.
  const attributes = attributesOf(bytes, span.start + 4 + MESSAGE_HEADER_BYTES, span.end);
  const text = attributes.get(EXTENDED_ACK_MESSAGE);
  return { errno, text: text === undefined ? '' : textOf(text) };
}

export function parseLink(bytes: Uint8Array, span: MessageSpan): Link | null {
  if (span.end - span.start < LINK_HEADER_BYTES) {
    return null;
  }
  const view = viewOf(bytes);
  const attributes = attributesOf(bytes, span.start + LINK_HEADER_BYTES, span.end);
  const name = attributes.get(LinkAttribute.Name);
  const information = attributes.get(LinkAttribute.Information);
  const kind =
    information === undefined ? undefined : attributesOf(information, 0, information.length).get(LinkInformation.Kind);
  const flags = view.getUint32(span.start + 8, true);
  return {
    index: view.getInt32(span.start + 4, true),
    name: name === undefined ? '' : textOf(name),
    mtu: number32(attributes.get(LinkAttribute.Mtu)),
    txQueueLength: number32(attributes.get(LinkAttribute.TxQueueLength)),
    isUp: (flags & INTERFACE_UP) !== 0,
    isRunning: (flags & INTERFACE_RUNNING) !== 0,
    kind: kind === undefined ? '' : textOf(kind),
  };
}

export function parseAddressMessage(bytes: Uint8Array, span: MessageSpan): LinkAddress | null {
  if (span.end - span.start < ADDRESS_HEADER_BYTES) {
    return null;
  }
  const view = viewOf(bytes);
  const attributes = attributesOf(bytes, span.start + ADDRESS_HEADER_BYTES, span.end);
  // On a point-to-point link the address attribute is the peer; the local one is ours.
  const value = attributes.get(AddressAttribute.Local) ?? attributes.get(AddressAttribute.Address);
  if (value === undefined || !isAddressOf(bytes[span.start], value)) {
    return null;
  }
  return {
    linkIndex: view.getUint32(span.start + 4, true),
    prefix: prefixOf(addressFromBytes(value), bytes[span.start + 1]),
  };
}

function addressRequest(type: number, flags: number, sequence: number, address: LinkAddress): Uint8Array {
  const { bytes, family } = address.prefix.address;
  const message = new MessageBuilder(type, flags, sequence);
  const addressFlags = family === 6 ? NO_DUPLICATE_DETECTION : 0;
  message
    .u8(family === 4 ? AF_INET : AF_INET6)
    .u8(address.prefix.bits)
    .u8(addressFlags)
    .u8(0);
  message.u32(address.linkIndex);
  message.attribute(AddressAttribute.Local, bytes);
  message.attribute(AddressAttribute.Address, bytes);
  return message.finish();
}

function nulTerminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function isAddressOf(family: number, value: Uint8Array): boolean {
  return value.length === (family === AF_INET ? 4 : family === AF_INET6 ? 16 : -1);
}

const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
const EXTENDED_ACK_MESSAGE = 1;

const INTERFACE_UP = 0x1;
const INTERFACE_RUNNING = 0x40;

const LinkAttribute = {
  Name: 3,
  Mtu: 4,
  Master: 10,
  TxQueueLength: 13,
  Information: 18,
  FamilySpecific: 26,
  NamespaceFd: 28,
} as const;
const LinkInformation = { Kind: 1, Data: 2 } as const;
const VETH_PEER = 1;
const INET6_ADDRESS_GENERATION_MODE = 8;
const ADDRESS_GENERATION_NONE = 1;

const AddressAttribute = { Address: 1, Local: 2 } as const;
const NO_DUPLICATE_DETECTION = 0x02;
