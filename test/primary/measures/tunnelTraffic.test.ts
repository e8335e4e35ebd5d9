import { expect } from 'chai';
import { describe, it } from 'mocha';
import { TunnelTraffic } from '../../../src/primary/measures/tunnelTraffic.ts';
import { TrafficCell, TunnelTrafficColumn } from '../../../src/shared/memory/tunnelTraffic.ts';

/** Two workers and the primary; their clocks began at different times. */
function tunnels(): {
  readonly traffic: TunnelTraffic;
  readonly workers: readonly [TunnelTrafficColumn, TunnelTrafficColumn];
} {
  const column = (offsetMs: number) =>
    new TunnelTrafficColumn(new Float64Array(TunnelTrafficColumn.cellCount(4)), offsetMs);
  const workers = [column(1000), column(3000)] as const;
  return { traffic: new TunnelTraffic(workers, 4, 2000), workers };
}

describe('traffic of tunnels', () => {
  it('adds up what every process carried', () => {
    const { traffic, workers } = tunnels();
    traffic.begin(1, '10.0.0.2');
    workers[0].received(1, 100);
    workers[1].received(1, 50);
    workers[1].sent(1, 200);
    traffic.sent(1, 60);
    expect(traffic.ofTunnel(1)).to.deep.equal({
      receivedPackets: 2,
      receivedBytes: 150,
      sentPackets: 2,
      sentBytes: 260,
    });
    expect(traffic.ofTunnel(2).receivedPackets).to.equal(0);
  });

  it('begins at nothing in a slot that was used before, and goes on for the peer', () => {
    const { traffic, workers } = tunnels();
    traffic.begin(1, '10.0.0.2');
    workers[0].received(1, 100);
    traffic.end(1);
    traffic.begin(1, '10.0.0.3');
    traffic.begin(2, '10.0.0.2');
    workers[0].received(1, 7);
    workers[0].received(2, 1);
    expect(traffic.ofTunnel(1).receivedBytes).to.equal(7);
    expect(traffic.ofPeer('10.0.0.2', [2]).receivedBytes).to.equal(101);
    expect(traffic.ofPeer('10.0.0.3', [1]).receivedBytes).to.equal(7);
  });

  it('measures a test by the clock that processes share, once', () => {
    const { traffic, workers } = tunnels();
    traffic.begin(1, '10.0.0.2');
    expect(traffic.lastCheckMs(1)).to.equal(null);
    traffic.testSent(1, 5000);
    expect(traffic.lastCheckMs(1)).to.equal(null);
    workers[1].answered(1, 4030);
    expect(traffic.lastCheckMs(1)).to.equal(30);
    traffic.settle();
    expect(traffic.checkDurations.count).to.equal(1);
  });

  it('takes no older answer for one, and none without a test', () => {
    const { traffic, workers } = tunnels();
    traffic.begin(1, '10.0.0.2');
    workers[0].answered(1, 1);
    traffic.testSent(1, 5000);
    expect(traffic.lastCheckMs(1)).to.equal(null);
    workers[0].answered(1, 5990);
    expect(traffic.lastCheckMs(1), 'the time of a batch is that of its beginning').to.equal(0);
    workers[0].answered(1, 9000);
    expect(traffic.lastCheckMs(1)).to.equal(0);
  });

  it('shows no nonsense that a worker wrote', () => {
    const { traffic, workers } = tunnels();
    traffic.begin(1, '10.0.0.2');
    workers[0].cells.fill(Number.NaN);
    workers[1].cells.fill(-5);
    traffic.testSent(1, 5000);
    workers[1].cells.fill(Number.POSITIVE_INFINITY);
    expect(traffic.lastCheckMs(1)).to.equal(null);
    expect(traffic.ofTunnel(1)).to.deep.equal({ receivedPackets: 0, receivedBytes: 0, sentPackets: 0, sentBytes: 0 });
    expect(workers[1].at(1, TrafficCell.AnswerMs)).to.equal(Number.POSITIVE_INFINITY);
  });

  it('forgets the peers that ended first when there are too many', () => {
    const { traffic, workers } = tunnels();
    for (let peer = 0; peer <= 16_384; peer++) {
      traffic.begin(1, String(peer));
      workers[0].received(1, 10);
      traffic.end(1);
    }
    expect(traffic.ofPeer('0', []).receivedBytes).to.equal(0);
    expect(traffic.ofPeer('1', []).receivedBytes).to.equal(10);
  });
});
