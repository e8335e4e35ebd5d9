/** A wall clock that somebody sets, forward and back, under a running node: no packet is lost, no host is shut out. */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { clockThatIsSet } from './misbehaviour.ts';
import { adversaryScale } from './scale.ts';

const DAY = 86_400_000;

describe('a wall clock that is set', function () {
  this.timeout(180_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  afterEach(() => {
    pair.close();
  });

  for (const [what, fromMs, toMs] of [
    ['forward by a day', 0, DAY],
    // Before, it was ahead: certificates of now are valid at both times.
    ['back by a day', DAY, 0],
  ] as const) {
    it(`${what}: the node says so, tunnels go on, and a node that starts anew is let in`, async () => {
      pair = new Pair({ left: { env: clockThatIsSet(fromMs, toMs) } });
      await pair.start();
      const { lab, left, right } = pair;
      await untilReachable(lab, left.namespace, RIGHT);
      // The lines that tell of it come later than the packets.
      await until('both to tell of the handshake', () => left.handshakes() > 0 && right.handshakes() > 0);
      const marks = [left.lines.length, right.lines.length];
      const pinging = ping(lab, left.namespace, RIGHT, { count: adversaryScale(100), intervalMs: 50 });
      left.program.signal('SIGUSR2');
      await left.program.waitForLine(/The clock of this machine was set/, 10_000, marks[0]);
      const { sent, received } = await pinging;
      expect(received, 'answered pings').to.equal(sent);
      expect(left.handshakes(marks[0]) + right.handshakes(marks[1]), 'new handshakes').to.equal(0);
      expect(left.lines.slice(marks[0]).filter((line) => line.includes('stood still'))).to.deep.equal([]);
      await right.restart();
      await untilReachable(lab, left.namespace, RIGHT);
      // A new process has the right clock again, and must not be too old for who has seen the wrong one.
      await left.restart({ env: {} });
      await untilReachable(lab, left.namespace, RIGHT);
      await untilReachable(lab, right.namespace, LEFT);
    });
  }
});
