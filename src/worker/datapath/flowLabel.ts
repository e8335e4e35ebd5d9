/**
 * The flow label that a weft sender puts into the header's `reserved` field, so that the receiver's kernel can spread
 * one tunnel's flows over its workers and keep each flow on one.
 *
 * A keyed hash: an observer who sees labels learns which packets share a flow, not which ports they use. Never 0, which
 * means "no label". All workers of a node share the key, so a flow keeps its label whichever of them sends it.
 */
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';
import { FLOW_KEY_BYTES } from '../../shared/ipc/messages.ts';

export class FlowLabel {
  readonly #key0: number;
  readonly #key1: number;
  readonly #key2: number;
  readonly #key3: number;

  /** `key` is random and the same in all workers; it is copied. */
  constructor(key: Uint8Array) {
    if (key.length !== FLOW_KEY_BYTES) {
      throw new RangeError(`a flow label key has ${FLOW_KEY_BYTES} bytes, not ${key.length}`);
    }
    const view = new DataView(key.buffer, key.byteOffset);
    this.#key0 = view.getInt32(0);
    this.#key1 = view.getInt32(4);
    this.#key2 = view.getInt32(8);
    this.#key3 = view.getInt32(12);
  }

  /** 1..0xffff for the packet's flow. Fragments behind the first have no ports: they share their hosts' label. */
  of(tuple: PacketTuple): number {
    let hash = this.#key0;
    if (tuple.version === 6) {
      hash = mix(hash, tuple.local0);
      hash = mix(hash, tuple.local1);
      hash = mix(hash, tuple.local2);
      hash = mix(hash ^ this.#key1, tuple.remote0);
      hash = mix(hash, tuple.remote1);
      hash = mix(hash, tuple.remote2);
    }
    hash = mix(hash, tuple.local3);
    hash = mix(hash ^ this.#key2, tuple.remote3);
    hash = mix(hash, (tuple.localPort << 16) | tuple.remotePort);
    hash = mix(hash ^ this.#key3, tuple.protocol);
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
    hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b | 0);
    const label = (hash ^ (hash >>> 16)) & 0xffff;
    return label === 0 ? 1 : label;
  }
}

/** One round of a multiply-rotate hash over 32-bit words. */
function mix(hash: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e2d51 | 0);
  const turned = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}
