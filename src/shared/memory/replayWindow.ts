/**
 * A tunnel's replay window, shared by every worker: a counter is accepted once, whichever process receives it.
 *
 * Counters are grouped in blocks of 8; a block lives in word `block mod 1024`, which holds 8 bits of "seen" and a
 * 24-bit lap number. A newer lap takes the word over, an older one is refused for ever, and both happen by
 * compare-and-swap: no lock, nothing to repair when a worker is killed in the middle.
 *
 *   counter:  | lap (upper bits) | word 10 bits | bit 3 bits |
 *   word:     | lap, 24 bits                    | seen, 8 bits |
 *
 * The window is at least 8185 counters wide. It may accept a counter older than that once, while its word has not been
 * taken over; it never accepts one twice. A jump ahead by more than 2^36 counters is refused (tunnels are re-handshaken
 * at 2^34). (Nebula protocol: replay window; any width ≥ 1024 interoperates.)
 */

const BLOCK_BITS = 8;
const WINDOW_WORDS = 1024;
const LAP_COUNTERS: number = WINDOW_WORDS * BLOCK_BITS;
const LAP_BITS = 13;
const LAP_MASK = 0xffffff;
const LAP_HALF = 0x800000;

/** Words of one tunnel's window. */
export const REPLAY_WINDOW_WORDS: number = WINDOW_WORDS;

/** The widest reordering that is certainly accepted, in counters. */
export const REPLAY_WINDOW_COUNTERS: number = LAP_COUNTERS - BLOCK_BITS + 1;

export const Replay = { Fresh: 0, Duplicate: -1, TooOld: -2 } as const;
export type Replay = (typeof Replay)[keyof typeof Replay];

/** Empties a window and marks 0..`last` as seen, as the handshake used them. Only before the tunnel is published. */
export function resetReplayWindow(words: Int32Array, window: number, last: number): void {
  const lap = Math.floor(last / LAP_COUNTERS);
  const lastWord = Math.floor((last - lap * LAP_COUNTERS) / BLOCK_BITS);
  for (let word = 0; word < WINDOW_WORDS; word++) {
    const wordLap = word <= lastWord ? lap : lap - 1;
    const seen = word === lastWord ? (2 << (last & 7)) - 1 : 0xff;
    words[window + word] = wordLap < 0 ? 0 : ((wordLap & LAP_MASK) << BLOCK_BITS) | seen;
  }
}

/**
 * Whether a counter may still be accepted, given as its high and low 32 bits, signed or not. Cheap filter before the
 * AEAD; it claims nothing.
 */
export function checkCounter(words: Int32Array, window: number, high: number, low: number): Replay {
  const lap = lapOf(high, low);
  const inLap = low & (LAP_COUNTERS - 1);
  const word = Atomics.load(words, window + (inLap >>> 3));
  const ahead = (lap - (word >>> BLOCK_BITS)) & LAP_MASK;
  if (ahead === 0) {
    return (word & (1 << (inLap & 7))) === 0 ? Replay.Fresh : Replay.Duplicate;
  }
  return ahead < LAP_HALF ? Replay.Fresh : Replay.TooOld;
}

/**
 * Claims a counter after its packet proved authentic. Exactly one caller of all processes gets `Fresh`; a positive
 * result is `Fresh` too and says how many counters of the block's earlier laps never arrived (lost packets).
 */
export function claimCounter(words: Int32Array, window: number, high: number, low: number): number {
  const lap = lapOf(high, low);
  const inLap = low & (LAP_COUNTERS - 1);
  const index = window + (inLap >>> 3);
  const bit = 1 << (inLap & 7);
  for (;;) {
    const word = Atomics.load(words, index);
    const ahead = (lap - (word >>> BLOCK_BITS)) & LAP_MASK;
    if (ahead === 0) {
      if ((word & bit) !== 0) {
        return Replay.Duplicate;
      }
      if (Atomics.compareExchange(words, index, word, word | bit) === word) {
        return Replay.Fresh;
      }
    } else if (ahead >= LAP_HALF) {
      return Replay.TooOld;
    } else if (Atomics.compareExchange(words, index, word, (lap << BLOCK_BITS) | bit) === word) {
      return BLOCK_BITS - countSeen(word & 0xff) + (ahead - 1) * BLOCK_BITS;
    }
  }
}

/** Lap number of a counter, as far as a word keeps it. */
function lapOf(high: number, low: number): number {
  return ((high << (32 - LAP_BITS)) | (low >>> LAP_BITS)) & LAP_MASK;
}

function countSeen(bits: number): number {
  let rest = bits - ((bits >>> 1) & 0x55);
  rest = (rest & 0x33) + ((rest >>> 2) & 0x33);
  return (rest + (rest >>> 4)) & 0x0f;
}
