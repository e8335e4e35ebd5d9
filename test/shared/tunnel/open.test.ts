/** What opening counts: packets lost, and those that another process opened meanwhile. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { METRIC, METRIC_NAMES } from '../../../src/shared/memory/metrics.ts';
import { claimCounter, REPLAY_WINDOW_WORDS, resetReplayWindow } from '../../../src/shared/memory/replayWindow.ts';
import type { TunnelTable } from '../../../src/shared/memory/tunnelTable.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { OpenFault, openPacket } from '../../../src/shared/tunnel/open.ts';
import type { TunnelContext } from '../../../src/shared/tunnel/tunnelContext.ts';
import { HEADER_BYTES, MessageType, Subtype, TAG_BYTES, writeHeader } from '../../../src/shared/wire/header.ts';

/** One tunnel whose every packet is authentic; `meanwhile` runs while a packet is decrypted. */
class Bench {
  readonly metrics = new Float64Array(METRIC_NAMES.length);
  readonly windows = new Int32Array(REPLAY_WINDOW_WORDS);
  meanwhile: () => void = () => {};
  readonly #arena = new Arena(4096);

  constructor() {
    resetReplayWindow(this.windows, 0, 2);
  }

  open(counter: number): number {
    const { view } = this.#arena;
    writeHeader(view, 0, MessageType.Message, Subtype.None, 0, 7, 0, counter);
    const receiveKey = {
      open: () => {
        this.meanwhile();
        return true;
      },
    };
    const tunnels = { windows: this.windows, window: () => 0 } as unknown as TunnelTable;
    const context = { slot: 0, receiveKey } as unknown as TunnelContext;
    return openPacket(this.#arena, tunnels, context, 0, HEADER_BYTES + 5 + TAG_BYTES, this.metrics);
  }

  count(name: 'lost' | 'duplicate' | 'out_of_window'): number {
    return this.metrics[METRIC[`network.packets.${name}`]];
  }
}

describe('openPacket', () => {
  it('counts a packet as a duplicate when another process has opened its copy meanwhile', () => {
    const bench = new Bench();
    expect(bench.open(3)).to.equal(5);
    expect(bench.open(3)).to.equal(OpenFault.Duplicate);
    expect(bench.count('duplicate'), 'a plain replay').to.equal(0);
    bench.meanwhile = () => claimCounter(bench.windows, 0, 0, 4);
    expect(bench.open(4)).to.equal(OpenFault.Duplicate);
    expect(bench.count('duplicate')).to.equal(1);
    expect(bench.count('out_of_window')).to.equal(0);
  });

  it('counts a packet that fell out of the window while it was decrypted', () => {
    const bench = new Bench();
    bench.meanwhile = () => claimCounter(bench.windows, 0, 0, 4 + REPLAY_WINDOW_WORDS * 8);
    expect(bench.open(4)).to.equal(OpenFault.TooOld);
    expect([bench.count('out_of_window'), bench.count('duplicate')]).to.deep.equal([1, 0]);
  });

  it('counts what never came', () => {
    const bench = new Bench();
    expect(bench.open(8 + REPLAY_WINDOW_WORDS * 8)).to.equal(5);
    expect(bench.count('lost')).to.equal(8);
  });
});
