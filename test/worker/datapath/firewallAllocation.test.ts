import { expect } from 'chai';
import { describe, it } from 'mocha';
import { PacketTuple, parsePacket } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { firewallCounterCells } from '../../../src/shared/memory/firewallCounters.ts';
import { Firewall } from '../../../src/worker/datapath/firewall.ts';
import { buildReject, REJECT_BYTES_MAX } from '../../../src/worker/datapath/rejectMessage.ts';
import { RoutineCache } from '../../../src/worker/datapath/routineCache.ts';
import { ownIdentity, peerView, rulesOf } from '../../shared/firewall/certificates.ts';
import { ipv4, ipv6, tcp, udp, viewOf } from '../../shared/firewall/packets.ts';
import { least } from '../least.ts';

const packets = 30_000;
/** A boxed number is 16 bytes; the rest is the compiler's and the test runner's. */
const BytesMax = 2;

/** Bytes the heap grew by per packet: the median of several runs, because a collection may fall into one of them. */
function growthPerPacket(run: (index: number) => void): number {
  const growths: number[] = [];
  for (let round = 0; round < 9; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < packets; index++) {
      run(index);
    }
    growths.push((process.memoryUsage().heapUsed - before) / packets);
  }
  return growths.sort((a, b) => a - b)[4];
}

describe('firewall allocation', function () {
  this.timeout(20_000);

  const own = ownIdentity({ networks: ['203.0.113.1/24', 'fd42::1/64'], unsafeNetworks: ['192.168.0.0/16'] });
  const peer = peerView(
    { networks: ['203.0.113.2/24', 'fd42::2/64'], unsafeNetworks: ['198.51.100.0/24'], groups: ['web'] },
    own,
  );
  const inbound = [
    { port: '1-100', proto: 'tcp', cidr: '203.0.113.2/32' },
    { port: '200-40000', proto: 'any', group: 'web' },
  ];
  const sources = [
    ipv4({ source: '203.0.113.2', destination: '203.0.113.1', protocol: 17, payload: udp(7, 300) }),
    ipv6({
      source: 'fd42::2',
      destination: 'fd42::1',
      nextHeader: 6,
      payload: tcp({ sourcePort: 9, destinationPort: 300 }),
    }),
  ];
  const tuple = new PacketTuple();

  for (const packet of sources) {
    const { length } = packet;
    const bytes = new Uint8Array(length + REJECT_BYTES_MAX);
    bytes.set(packet);
    const view = viewOf(bytes);
    const upper = bytes[0] >> 4 === 4 ? 20 : 40;
    const conntrack = new ConntrackTable(new ArrayBuffer(ConntrackTable.byteLength(1024)), 0, 1024, 1);
    conntrack.initialize(-5);
    const cache = new RoutineCache(1000);
    const timeouts = { tcpMs: 60_000, udpMs: 60_000, defaultMs: 60_000 };
    const counters = new Float64Array(firewallCounterCells());
    const rules = rulesOf({ inbound });
    const firewall = new Firewall({ own, rules, timeouts, conntrack, cache, counters });
    const cases: Readonly<Record<string, (index: number) => void>> = {
      'a hit in the table, refreshed': (index) => {
        view.setUint16(upper + 2, 300);
        parsePacket(bytes, view, 0, length, true, tuple);
        firewall.check(tuple, peer, true, 1000 + (index >> 4));
      },
      'a first packet': (index) => {
        view.setUint16(upper + 2, 300 + (index & 0x3fff));
        parsePacket(bytes, view, 0, length, true, tuple);
        firewall.check(tuple, peer, true, 10_000 + index);
      },
      'a refusal with its answer': () => {
        view.setUint16(upper + 2, 150);
        parsePacket(bytes, view, 0, length, true, tuple);
        firewall.check(tuple, peer, true, 1000);
        buildReject(bytes, view, 0, length, tuple, length);
      },
      'a hit in the cache': (index) => {
        if (index === 0) {
          cache.tick(1, 0);
        }
        view.setUint16(upper + 2, 301);
        parsePacket(bytes, view, 0, length, true, tuple);
        firewall.check(tuple, peer, true, 1_000_000);
      },
    };
    for (const [title, run] of Object.entries(cases)) {
      it(`is none for ${title}, IPv${bytes[0] >> 4}`, () => {
        expect(least(BytesMax, () => growthPerPacket(run))).to.be.below(BytesMax);
      });
    }
  }
});
