import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type Effect, Outbox } from '../../../src/primary/control/effects.ts';
import { LighthouseAnswers } from '../../../src/primary/lighthouse/answers.ts';
import { addressFromBytes, type IpAddress } from '../../../src/shared/ip/address.ts';
import { LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';

const numbered = (index: number): IpAddress => addressFromBytes(Uint8Array.of(10, index >>> 16, index >>> 8, index));

function fixture(): { readonly answers: LighthouseAnswers; readonly drain: () => Effect[] } {
  const outbox = new Outbox();
  return { answers: new LighthouseAnswers(outbox), drain: () => outbox.drain() };
}

/** The bodies that a host gets when it is up. */
function bodiesFor({ answers, drain }: ReturnType<typeof fixture>, host: IpAddress): number[] {
  drain();
  answers.onEffect({ kind: 'hostUp', addresses: [host], slot: 1 });
  return drain().flatMap((effect) => (effect.kind === 'sendSealed' ? [effect.body[0]] : []));
}

describe('answers of a lighthouse to hosts without a tunnel', () => {
  it('wait for the tunnel, a few of them', () => {
    const all = fixture();
    for (let body = 0; body < 12; body++) {
      all.answers.keep(numbered(1), Uint8Array.of(body));
    }
    expect(bodiesFor(all, numbered(1))).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(bodiesFor(all, numbered(1))).to.deep.equal([]);
  });

  it('of hosts that never come make room for later ones', () => {
    const all = fixture();
    for (let index = 0; index < 3000; index++) {
      all.answers.keep(numbered(index), Uint8Array.of(index));
    }
    expect(bodiesFor(all, numbered(0))).to.deep.equal([]);
    expect(bodiesFor(all, numbered(2999))).to.deep.equal([2999 & 0xff]);
  });

  it('are no longer than a message', () => {
    const all = fixture();
    all.answers.keep(numbered(1), new Uint8Array(LIGHTHOUSE_BYTES_MAX).fill(1));
    all.answers.keep(numbered(1), new Uint8Array(LIGHTHOUSE_BYTES_MAX + 1).fill(2));
    expect(bodiesFor(all, numbered(1))).to.deep.equal([1]);
  });
});
