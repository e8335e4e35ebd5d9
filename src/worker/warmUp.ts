/**
 * Warms a worker up before it says that it is ready: two data planes, built as its own is, carry packets to each other
 * over a socket pair each in the place of the tun queue, and over sockets of the loopback device. Until then every packet's
 * way is interpreted, and an idle node would never get further.
 *
 * Everything but the arena and the cipher's library is its own and is thrown away: tables, counters, keys, descriptors. The
 * arena is the worker's, because compiled code knows the functions that belong to it; the pages of the packets are given
 * back. Sockets are opened here, so it comes before the worker is confined. Nothing is lost but speed when it cannot run:
 * it ends where a packet does not arrive, and after a fixed time in any case.
 */

import { parseCertificate } from '../shared/cert/parse.ts';
import { detailsVersion2, encodeVersion2 } from '../shared/cert/version2.ts';
import { Curve } from '../shared/crypto/curve.ts';
import { anyPort, type Rule, RuleProto } from '../shared/firewall/rule.ts';
import { addressFromBytes, prefixOf, writeMapped } from '../shared/ip/address.ts';
import { CHANNEL_BYTES, FrameWriter } from '../shared/ipc/frameRing.ts';
import type { WorkerSettings } from '../shared/ipc/messages.ts';
import {
  initializeShared,
  openAsWorker,
  type SharedMemories,
  type SharedTables,
  sharedSizes,
} from '../shared/memory/layout.ts';
import { resetSendCounter } from '../shared/memory/sendCounter.ts';
import type { Arena } from '../shared/sys/arena.ts';
import { monotonicSeconds } from '../shared/sys/clock.ts';
import { libc } from '../shared/sys/libc.ts';
import { SOCKADDR_BYTES, socketAddressLength, writeSocketAddress } from '../shared/tunnel/socketAddress.ts';
import { HEADER_BYTES, MessageType, writeHeader } from '../shared/wire/header.ts';
import { DataPlane, type ToDataPlane } from './dataPlane.ts';
import { familyOf } from './parts.ts';
import { loopbackSocket, socketPair } from './ports/localSockets.ts';
import { TunPort } from './ports/tunPort.ts';
import { UdpPort } from './ports/udpPort.ts';
import { type Host, hostBytes, type WarmUpPackets, warmUpPackets } from './warmUpPackets.ts';

/** What the arena has to have for it, beside what is taken for each message of a batch. */
export const WARM_UP_ARENA_BYTES: number = 16 * 1024 * 1024;

/** Messages per receive call here: a batch of the configuration's size would only be more memory. */
const BATCH = 16;
/** Processor time of this process, the compiler's threads included: about half of it passes on a machine at rest. */
const LIMIT_MS = 250;
/** After which nothing more is compiled that an idle node needs (Node 20). */
const ROUNDS_MAX = 600;
const CAPACITIES = { workers: 1, tunnels: 4, flows: 64, lighthouseHosts: 1 };

/** Returns how many rounds were carried whole. Throws SysError when descriptors cannot be had; none is left open. */
export function warmUp(settings: WorkerSettings, arena: Arena): number {
  const fds: number[] = [];
  const start = arena.usedBytes;
  try {
    const [left, right] = [new Ports(1, settings, arena, fds), new Ports(2, settings, arena, fds)];
    const end = arena.usedBytes;
    const rounds = carry(new Side(left, right, settings, arena), new Side(right, left, settings, arena));
    arena.giveBack(start, end);
    return rounds;
  } finally {
    for (const fd of fds) {
      libc.close(fd);
    }
  }
}

/** Rounds of a ping there and back, a burst of small packets and a large one, until the time is over. */
function carry(left: Side, right: Side): number {
  const before = process.cpuUsage();
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const [from, to] = round % 2 === 0 ? [left, right] : [right, left];
    const { small, large } = from.packets;
    if (round % RARE_EVERY === 0) {
      from.passRare(round / RARE_EVERY, to);
    }
    const isCarried =
      left.pass(left.packets.echo, 1, right) &&
      right.pass(right.packets.echo, 1, left) &&
      from.pass(small[(round >> 1) % small.length], SMALL_BURST, to) &&
      from.pass(large[(round >> 1) % large.length], 1, to);
    const { user, system } = process.cpuUsage(before);
    if (!isCarried || user + system > LIMIT_MS * 1000) {
      return round;
    }
  }
  return ROUNDS_MAX;
}

/** What one side has of descriptors, and their places in the arena. */
class Ports {
  readonly host: Host;
  readonly tun: TunPort;
  readonly udp: UdpPort;
  readonly udpFd: number;
  /** Of the UDP socket. */
  readonly port: number;
  /** The host's end of the tun queue. */
  readonly hostFd: number;
  /** Where a packet lies on its way into the queue or out of it. */
  readonly packet: number;

  /** `fds` gets every descriptor as soon as it is open. */
  constructor(host: Host, settings: WorkerSettings, arena: Arena, fds: number[]) {
    const { tunOffload, udpOffloads, family } = settings;
    const [queue, hostFd] = socketPair();
    fds.push(queue, hostFd);
    const { fd, port } = loopbackSocket(family);
    fds.push(fd);
    this.host = host;
    this.hostFd = hostFd;
    this.udpFd = fd;
    this.port = port;
    this.packet = arena.allocate(PACKET_ROOM, 16);
    this.tun = new TunPort(arena, { fd: queue, vnetHeader: tunOffload.vnetHeader });
    this.udp = new UdpPort(arena, { fd, family: familyOf(settings), batch: BATCH, offloads: udpOffloads });
  }
}

/** A data plane with one tunnel, to the other side, and the host behind it. */
class Side {
  readonly packets: WarmUpPackets;
  readonly #arena: Arena;
  readonly #ports: Ports;
  readonly #plane: DataPlane;
  readonly #peer: Ports;
  /** As a primary has them. */
  readonly #tables: SharedTables;
  /** Socket address of the peer. */
  readonly #peerAddress: number;
  readonly #addressBytes: number;

  constructor(own: Ports, peer: Ports, settings: WorkerSettings, arena: Arena) {
    const memories = scratchMemories();
    this.#tables = initializeShared(memories, CAPACITIES);
    writeTunnel(this.#tables, own.host, peer, settings.cipher);
    const family = familyOf(settings);
    this.#peer = peer;
    this.#peerAddress = arena.allocate(SOCKADDR_BYTES, 8);
    this.#addressBytes = socketAddressLength(family);
    writeSocketAddress(arena, this.#peerAddress, family, mappedBytes(LOOPBACK), 0, peer.port);
    const tables = openAsWorker(memories.facts, memories.common, memories.own[0], 0);
    const punts = { frames: new FrameWriter(new ArrayBuffer(CHANNEL_BYTES)), flush: () => undefined };
    this.packets = warmUpPackets(own.host, settings.tunOffload);
    this.#arena = arena;
    this.#ports = own;
    this.#plane = new DataPlane(settingsOf(own.host, settings), tables, { arena, tun: own.tun, udp: own.udp, punts });
  }

  /** The host sends the packet so often; false when nothing of it comes out at the other side. */
  pass(packet: Uint8Array, count: number, other: Side): boolean {
    const { hostFd, packet: place } = this.#ports;
    this.#arena.bytes.set(packet, place);
    for (let sent = 0; sent < count; sent++) {
      libc.write(hostFd, this.#arena.address + place, packet.length);
    }
    this.#turn(false);
    other.#turn(true);
    return other.#drain() > 0;
  }

  /**
   * What is rare: a tunnel that is new, an endpoint that has changed, a tick of the connection table, a flow's first
   * packet, a host without a tunnel, a punch and a stranger. Compiled code that has not seen the way that such a packet
   * takes is thrown away when the first of them comes.
   */
  passRare(count: number, other: Side): void {
    const { first, lost } = this.packets;
    this.#tables.tunnels.writeEndpoint(SLOT, mappedBytes(LOOPBACK), this.#peer.port, new Uint8Array(16));
    for (const side of [this, other]) {
      side.#perform({ type: 'tunnelsClosed', slots: [SLOT] });
      side.#perform({ type: 'tick', version: count + 1 });
    }
    this.pass(first[count % first.length], 1, other);
    this.pass(lost, 1, other);
    for (const datagram of STRANGE_DATAGRAMS) {
      this.#send(datagram);
    }
    other.#turn(true);
  }

  #perform(message: ToDataPlane): void {
    const nowMs = performance.now();
    this.#plane.begin(nowMs, monotonicSeconds(nowMs));
    this.#plane.perform(message);
    this.#plane.end();
  }

  #send(datagram: Uint8Array): void {
    const { udpFd, packet } = this.#ports;
    const { address, bytes } = this.#arena;
    bytes.set(datagram, packet);
    libc.sendto(udpFd, address + packet, datagram.length, 0, address + this.#peerAddress, this.#addressBytes);
  }

  /** As the loop makes its turns. */
  #turn(isUdpReady: boolean): void {
    const nowMs = performance.now();
    this.#plane.begin(nowMs, monotonicSeconds(nowMs));
    if (isUdpReady) {
      this.#plane.receive();
    }
    this.#plane.send();
    this.#plane.end();
  }

  #drain(): number {
    const { hostFd, packet } = this.#ports;
    let count = 0;
    while (libc.read(hostFd, this.#arena.address + packet, PACKET_ROOM) > 0) {
      count++;
    }
    return count;
  }
}

/** The node's own settings, in a network that exists nowhere else and in which everything may pass. */
function settingsOf(host: Host, settings: WorkerSettings): WorkerSettings {
  const certificate = certificateOf(host);
  return {
    ...settings,
    worker: 0,
    certificate,
    certificateVersion: 2,
    networks: parseCertificate(certificate, 2).networks,
    caNames: new Map(),
    firewall: {
      ...settings.firewall,
      rules: { inbound: [anyRule(true)], outbound: [anyRule(false)], defaultLocalCidrAny: false },
    },
    hasDevice: true,
    routes: [],
    lighthouse: null,
  };
}

function writeTunnel(tables: SharedTables, own: Host, peer: Ports, cipher: number): void {
  const { tunnels, indexes, hosts } = tables;
  const vpnAddresses = ([4, 6] as const).map((version) => mappedBytes(hostBytes(version, peer.host)));
  tunnels.write(SLOT, 2, {
    localIndex: INDEXES[own],
    remoteIndex: INDEXES[peer.host],
    cipher,
    sendKey: new Uint8Array(32).fill(own),
    receiveKey: new Uint8Array(32).fill(peer.host),
    certificate: certificateOf(peer.host),
    certificateVersion: 2,
    ordinal: 1,
    lastCounter: 2,
  });
  resetSendCounter(tunnels.cells, tunnels.counterCell(SLOT), 2);
  tunnels.writeEndpoint(SLOT, mappedBytes(LOOPBACK), peer.port, mappedBytes(LOOPBACK));
  indexes.insert(INDEXES[own], SLOT);
  for (const address of vpnAddresses) {
    const view = new DataView(address.buffer);
    hosts.set(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12), SLOT);
  }
}

/** Nobody has signed it: only what a worker reads of a certificate counts. */
function certificateOf(host: Host): Uint8Array {
  const curve = Curve.Curve25519;
  const publicKey = new Uint8Array(32);
  const details = detailsVersion2({
    version: 2,
    name: 'warm-up',
    networks: [prefixOf(addressFromBytes(hostBytes(4, host)), 24), prefixOf(addressFromBytes(hostBytes(6, host)), 64)],
    unsafeNetworks: [],
    groups: [],
    isCa: false,
    notBefore: 0,
    notAfter: 1,
    issuer: '',
    curve,
    publicKey,
  });
  return encodeVersion2(details, curve, publicKey, new Uint8Array(64));
}

function anyRule(incoming: boolean): Rule {
  return {
    incoming,
    index: 0,
    proto: RuleProto.Any,
    ports: anyPort,
    groups: [],
    host: 'any',
    cidr: null,
    localCidr: null,
    caName: null,
    caSha: null,
    text: '',
  };
}

function strange(type: number): Uint8Array {
  const datagram = new Uint8Array(HEADER_BYTES + 80);
  writeHeader(new DataView(datagram.buffer), 0, type, 0, 0, 0x7777_7777, 0, 1);
  return datagram;
}

function scratchMemories(): SharedMemories {
  const { facts, common, own } = sharedSizes(CAPACITIES);
  return { facts: new ArrayBuffer(facts), common: new ArrayBuffer(common), own: [new ArrayBuffer(own)] };
}

function mappedBytes(bytes: Uint8Array): Uint8Array {
  const mapped = new Uint8Array(16);
  writeMapped(addressFromBytes(bytes), mapped, 0);
  return mapped;
}

const SMALL_BURST = 4;
const RARE_EVERY = 8;
const LOOPBACK: Uint8Array = Uint8Array.of(127, 0, 0, 1);
/** A punch, a first handshake message that is none, and a message of a tunnel that nobody has. */
const STRANGE_DATAGRAMS: readonly Uint8Array[] = [
  Uint8Array.of(1),
  strange(MessageType.Handshake),
  strange(MessageType.Message),
  strange(MessageType.Test),
];
const SLOT = 0;
/** Indexes are drawn from all 32 bits: code has to know those that are no small integer as well. */
const INDEXES: Readonly<Record<Host, number>> = { 1: 0x1234_0001, 2: 0xfedc_0001 };
const PACKET_ROOM = 32_768;
