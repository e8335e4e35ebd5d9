import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LoopGuard } from '../../../src/primary/machine/loopGuard.ts';
import type { IpAddress } from '../../../src/shared/ip/address.ts';
import { ep } from '../../support/addresses.ts';
import { CollectingLog } from '../../support/collectingLog.ts';
import { configOf } from '../config/support.ts';

const TUN = 7;
const CARD = 2;

describe('the guard against loops', () => {
  it('asks the kernel about endpoints inside unsafe routes, with the mark, once a second, and tells once', () => {
    const log = new CollectingLog();
    const asked: string[] = [];
    let nowMs = 0;
    let way = TUN;
    const linkTowards = ({ text }: IpAddress, mark?: number): number => {
      asked.push(`${text} ${mark}`);
      return way;
    };
    const guard = new LoopGuard({
      netlink: { linkTowards },
      device: 'overlay0',
      linkIndex: TUN,
      log,
      nowMs: () => nowMs,
    });
    const config = configOf('tun: {unsafe_routes: [{route: 192.0.2.0/24, via: 10.0.0.9}]}\nlisten: {so_mark: 5}\n');
    expect(guard.isLoop(ep('198.51.100.1:1'), config), 'outside').to.equal(false);
    expect(asked).to.deep.equal([]);
    expect(guard.isLoop(ep('192.0.2.1:1'), config)).to.equal(true);
    nowMs = 999;
    expect(guard.isLoop(ep('192.0.2.1:2'), config)).to.equal(true);
    expect(asked).to.deep.equal(['192.0.2.1 5']);
    nowMs = 1000;
    expect(guard.isLoop(ep('192.0.2.1:1'), config)).to.equal(true);
    expect(log.lines.filter(({ message }) => message.includes('passed over'))).to.have.length(1);
    way = CARD;
    nowMs = 2000;
    expect(guard.isLoop(ep('192.0.2.1:1'), config), 'a route of its own').to.equal(false);
    way = TUN;
    nowMs = 3000;
    expect(guard.isLoop(ep('192.0.2.1:1'), config)).to.equal(true);
    expect(log.lines.filter(({ message }) => message.includes('passed over'))).to.have.length(2);
    expect(guard.isLoop(ep('192.0.2.1:1'), configOf()), 'no unsafe route any more').to.equal(false);
  });
});
