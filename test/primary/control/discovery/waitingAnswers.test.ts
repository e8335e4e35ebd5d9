import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { PeerTunnel } from '../../../../src/primary/control/discovery/peerTunnel.ts';
import { WaitingAnswers } from '../../../../src/primary/control/discovery/waitingAnswers.ts';
import { Wishes } from '../../../../src/primary/control/discovery/wishes.ts';
import { Outbox } from '../../../../src/primary/control/effects.ts';
import { addressFromBytes, type IpAddress } from '../../../../src/shared/ip/address.ts';
import { LIGHTHOUSE_BYTES_MAX } from '../../../../src/shared/wire/lighthouseEncoder.ts';

const numbered = (index: number): IpAddress => addressFromBytes(Uint8Array.of(10, index >>> 16, index >>> 8, index));

class Fixture {
  readonly outbox = new Outbox();
  readonly wishes = new Wishes();
  readonly tunnels = new Map<string, PeerTunnel>();
  readonly answers = new WaitingAnswers({
    outbox: this.outbox,
    wishes: this.wishes,
    tunnelTo: (address) => this.tunnels.get(address.text) ?? null,
  });

  /** A tunnel to the host is up; the bodies that it gets. */
  up(host: IpAddress): number[] {
    this.outbox.drain();
    this.answers.onHostUp({ slot: 1, vpnAddresses: [host] } as unknown as PeerTunnel);
    return this.sent();
  }

  sent(): number[] {
    return this.outbox.drain().flatMap((effect) => (effect.kind === 'sendSealed' ? [effect.body[0]] : []));
  }
}

describe('answers of a lighthouse to hosts without a tunnel', () => {
  it('wish for a tunnel and wait for it, a few of them', () => {
    const all = new Fixture();
    for (let body = 0; body < 12; body++) {
      all.answers.keep(numbered(1), Uint8Array.of(body));
    }
    expect(all.wishes.take()).to.deep.equal({ kind: 'connect', address: numbered(1) });
    expect(all.sent()).to.deep.equal([]);
    expect(all.up(numbered(1))).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(all.up(numbered(1))).to.deep.equal([]);
  });

  it('go at once through a tunnel that has come up meanwhile', () => {
    const all = new Fixture();
    all.tunnels.set(numbered(1).text, { slot: 1, vpnAddresses: [numbered(1)] } as unknown as PeerTunnel);
    all.answers.keep(numbered(1), Uint8Array.of(7));
    expect(all.sent()).to.deep.equal([7]);
    expect(all.wishes.take()).to.equal(null);
    expect(all.up(numbered(1))).to.deep.equal([]);
  });

  it('are dropped when no tunnel can be made', () => {
    const all = new Fixture();
    all.answers.keep(numbered(1), Uint8Array.of(7));
    all.answers.onHostFailed(numbered(1));
    expect(all.up(numbered(1))).to.deep.equal([]);
  });

  it('of hosts that never come make room for later ones', () => {
    const all = new Fixture();
    for (let index = 0; index < 3000; index++) {
      all.answers.keep(numbered(index), Uint8Array.of(index));
    }
    expect(all.up(numbered(0))).to.deep.equal([]);
    expect(all.up(numbered(2999))).to.deep.equal([2999 & 0xff]);
  });

  it('are no longer than a message', () => {
    const all = new Fixture();
    all.answers.keep(numbered(1), new Uint8Array(LIGHTHOUSE_BYTES_MAX).fill(1));
    all.answers.keep(numbered(1), new Uint8Array(LIGHTHOUSE_BYTES_MAX + 1).fill(2));
    expect(all.up(numbered(1))).to.deep.equal([1]);
  });
});
