/**
 * Who may use which address: this node's own identity and a tunnel's peer, compiled from their certificates.
 *
 * The first two checks of every packet are here, and they come before conntrack and its cache: without them a peer
 * could send with another peer's address on that peer's live flow. Both are built in the cold path (a tunnel, a
 * reload); the checks themselves read words and allocate nothing. Source: Nebula protocol, order of checks.
 *
 * Addresses and unsafe networks of a certificate are few, so they are searched in order, longest prefix first; the
 * peer with one address in one of our networks, nearly every peer, costs four comparisons.
 */
import type { Certificate } from '../cert/certificate.ts';
import { comparePrefixes, type Prefix, prefixContains, prefixOf } from '../ip/address.ts';
import { addressWords, containsAddress } from '../ip/networkWords.ts';
import type { PacketTuple } from '../ip/packetTuple.ts';
import { PrefixList, prefixSet } from './prefixList.ts';
import { Verdict } from './verdict.ts';

/** This node, as its certificate of the highest version describes it. */
export class OwnIdentity {
  readonly certificate: Certificate;
  /** Names of the authorities in the pool by fingerprint, for rules with `ca_name`. */
  readonly caNames: ReadonlyMap<string, string>;
  /** Everything a permitted local address can be in: our addresses as host prefixes, our unsafe networks. */
  readonly localPrefixes: readonly Prefix[];
  readonly #addresses: Int32Array;
  readonly #unsafeNetworks: PrefixList;

  constructor(certificate: Certificate, caNames: ReadonlyMap<string, string>) {
    this.certificate = certificate;
    this.caNames = caNames;
    this.localPrefixes = [...certificate.networks.map(hostPrefix), ...certificate.unsafeNetworks];
    this.#addresses = addressWords(certificate.networks.map((network) => network.address));
    this.#unsafeNetworks = prefixSet(certificate.unsafeNetworks);
  }

  /** Whether a packet's local address is one of ours or in one of our unsafe networks. */
  isLocal(tuple: PacketTuple): boolean {
    const { local0, local1, local2, local3 } = tuple;
    return (
      containsAddress(this.#addresses, local0, local1, local2, local3) ||
      (!this.#unsafeNetworks.isEmpty && this.#unsafeNetworks.findLocal(tuple, -1) === 0)
    );
  }

  /** Whether a certificate's address lies in one of our VPN networks. */
  handles(network: Prefix): boolean {
    return this.certificate.networks.some((own) => prefixContains(own, network.address));
  }
}

/** The peer of one tunnel. Belongs to one certificate and one `OwnIdentity`: a change of either makes a new one. */
export class PeerIdentity {
  readonly certificate: Certificate;
  /** Name of the authority that signed the certificate; null when it is not in the pool. */
  readonly caName: string | null;
  /** Everything a permitted remote address can be in. */
  readonly remotePrefixes: readonly Prefix[];
  /** Names the peer, by a hash of its first VPN address: what is shared out between peers goes by it. */
  readonly tag: number;
  /** The only address, or an empty list when the networks must be searched. */
  readonly #isSingle: boolean;
  readonly #single0: number;
  readonly #single1: number;
  readonly #single2: number;
  readonly #single3: number;
  /** Longest prefix first, with the verdict on an address in it. */
  readonly #networks: PrefixList;

  constructor(certificate: Certificate, own: OwnIdentity) {
    this.certificate = certificate;
    this.caName = own.caNames.get(certificate.issuer) ?? null;
    this.remotePrefixes = [...certificate.networks.map(hostPrefix), ...certificate.unsafeNetworks];
    const { networks, unsafeNetworks } = certificate;
    this.#isSingle = networks.length === 1 && unsafeNetworks.length === 0 && own.handles(networks[0]);
    const words = addressWords(networks.slice(0, 1).map((network) => network.address));
    this.#single0 = words[0] ?? 0;
    this.#single1 = words[1] ?? 0;
    this.#single2 = words[2] ?? 0;
    this.#single3 = words[3] ?? 0;
    this.tag = words.reduce((hash, word) => Math.imul(hash ^ word ^ (word >>> 16), TAG_FACTOR), TAG_FACTOR) >>> 16;
    const meanings = remoteMeanings(certificate, own);
    this.#networks = new PrefixList(
      meanings.map((meaning) => meaning.prefix),
      meanings.map((meaning) => meaning.verdict),
    );
  }

  /** 0 when the packet's remote address is the peer's to use, else the verdict to drop it with. */
  checkRemote(tuple: PacketTuple): number {
    if (this.#isSingle) {
      return tuple.remote3 === this.#single3 &&
        tuple.remote2 === this.#single2 &&
        tuple.remote1 === this.#single1 &&
        tuple.remote0 === this.#single0
        ? 0
        : Verdict.RemoteAddress;
    }
    return this.#networks.findRemote(tuple, Verdict.RemoteAddress);
  }
}

interface RemoteMeaning {
  readonly prefix: Prefix;
  readonly verdict: number;
}

/** Networks and what a longest match says; an unsafe network wins over an address of the same length. */
function remoteMeanings(certificate: Certificate, own: OwnIdentity): readonly RemoteMeaning[] {
  const meanings = [
    ...certificate.unsafeNetworks.map((prefix) => ({ prefix, verdict: 0 })),
    ...certificate.networks.map((network) => ({
      prefix: hostPrefix(network),
      verdict: own.handles(network) ? 0 : Verdict.PeerAddress,
    })),
  ];
  // Families never meet in one lookup, so their lengths need not be comparable; sorting is stable.
  return meanings.sort((a, b) => b.prefix.bits - a.prefix.bits || comparePrefixes(a.prefix, b.prefix));
}

function hostPrefix(network: Prefix): Prefix {
  return prefixOf(network.address, network.address.bytes.length * 8);
}

/** Odd, with good avalanche. */
const TAG_FACTOR = 0x21f0aaad;
