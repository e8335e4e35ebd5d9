import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Outbox } from '../../../src/primary/control/effects.ts';
import { LocalIndexes } from '../../../src/primary/control/tunnels/localIndexes.ts';
import { isPrivate } from '../../../src/shared/ip/address.ts';
import { ip } from '../../support/addresses.ts';
import { MemoryTunnelStore } from '../../support/memoryTunnelStore.ts';

describe('outbox', () => {
  it('hands effects over once, in order', () => {
    const outbox = new Outbox();
    outbox.count('a');
    outbox.log('info', 'b', { n: 1 });
    outbox.count('c', 3);
    expect(outbox.drain()).to.deep.equal([
      { kind: 'count', metric: 'a', n: 1 },
      { kind: 'log', level: 'info', message: 'b', fields: { n: 1 } },
      { kind: 'count', metric: 'c', n: 3 },
    ]);
    expect(outbox.drain()).to.deep.equal([]);
  });
});

describe('local indexes', () => {
  it('draws big endian, never 0 and never one that is taken, and gives up on a broken generator', () => {
    const draws = [
      [0, 0, 0, 0],
      [0, 0, 1, 2],
      [0, 0, 1, 2],
      [255, 0, 0, 1],
    ];
    const indexes = new LocalIndexes(() => Uint8Array.from(draws.shift() ?? [0, 0, 1, 2]), new MemoryTunnelStore());
    expect(indexes.draw()).to.equal(0x102);
    expect(indexes.draw()).to.equal(0xff000001);
    expect(indexes.draw()).to.equal(null);
    indexes.release(0x102);
    expect(indexes.draw()).to.equal(0x102);
    expect(indexes.size).to.equal(2);
  });
});

describe('private addresses', () => {
  it('are those of RFC 1918 and RFC 4193', () => {
    const verdicts = ['10.0.0.1', '172.16.0.1', '172.31.255.255', '172.32.0.1', '192.168.1.1', '192.169.0.1', '8.8.8.8']
      .concat(['fc00::1', 'fdff::1', 'fe80::1', '2001:db8::1'])
      .map((text) => isPrivate(ip(text)));
    expect(verdicts).to.deep.equal([true, true, true, false, true, false, false, true, true, false, false]);
  });
});
