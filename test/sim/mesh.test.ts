import { expect } from 'chai';
import { describe, it } from 'mocha';
import { expectOnePrimary, pair, talk, tunnelCount } from './pairs.ts';
import { World } from './world.ts';

describe('simulation: many nodes', function () {
  this.timeout(60_000);

  it('20 nodes make a full mesh on a bad network, every pair ends with one tunnel, and all of them carry packets', () => {
    const world = new World(600, { loss: 0.1, duplication: 0.05, delayMsMin: 1, delayMsMax: 120 });
    for (let n = 0; n < 20; n++) {
      world.addNode(`node${n}`);
    }
    world.introduceAll();
    const all = world.nodes.flatMap((from) => world.nodes.filter((to) => to !== from).map((to) => [from, to] as const));
    world.runWith(40_000, 2500, () => {
      for (const [from, to] of all) {
        world.ping(from, to);
      }
    });
    world.network.quality = { loss: 0, duplication: 0, delayMsMin: 1, delayMsMax: 20 };
    world.runWith(30_000, 2500, () => {
      for (const [from, to] of all) {
        world.ping(from, to);
      }
    });
    for (const node of world.nodes) {
      node.delivered.length = 0;
      expect(tunnelCount(node), node.name).to.equal(19);
    }
    for (const [from, to] of all) {
      expectOnePrimary({ world, a: from, b: to });
      world.ping(from, to, 'last');
    }
    world.run(100);
    for (const node of world.nodes) {
      expect(node.delivered.map((delivery) => delivery.from)).to.have.length(19);
      expect(new Set(node.delivered.map((delivery) => delivery.from)).size).to.equal(19);
    }
  });

  it('the same seed gives the same run', () => {
    const runOnce = (): string[] => {
      const all = pair(601, {}, {}, { loss: 0.3, duplication: 0.2, delayMsMin: 1, delayMsMax: 90 });
      talk(all, 8000, 300);
      return all.world.network.sent.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    };
    const first = runOnce();
    expect(first.length).to.be.above(50);
    expect(runOnce()).to.deep.equal(first);
  });
});
