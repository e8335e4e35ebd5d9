/** The benchmark's arithmetic: medians, ratios of the same round, gaps, and the forms they are shown in. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseIperf, parsePing } from '../support/traffic.ts';
import { median } from './measure.ts';
import { measuresOf } from './measures.ts';
import { renderPlot } from './plot.ts';
import { type Results, renderJson, renderTable, rowsOf } from './report.ts';

const results: Results = {
  header: { machine: 'a machine' },
  measures: measuresOf({
    seconds: 1,
    datagramBytes: [100, 1200],
    searchSeconds: 1,
    searchPrecision: 0.1,
    pingCount: 1,
    handshakeCount: 1,
  }),
  baseline: 'nebula',
  tracks: [
    {
      candidate: 'nebula',
      rounds: [
        { 'TCP 1 stream': 100, 'UDP 100 B delivered': 50 },
        { 'TCP 1 stream': 200, 'UDP 100 B delivered': 40 },
        { 'TCP 1 stream': 400 },
      ],
    },
    { candidate: 'weft', rounds: [{ 'TCP 1 stream': 900 }, {}, { 'TCP 1 stream': 800 }] },
  ],
};

describe('bench report', () => {
  it('takes medians of odd and even numbers of rounds', () => {
    expect(median([5, 1, 3])).to.equal(3);
    expect(median([4, 1, 3, 2])).to.equal(2.5);
    expect(median([])).to.be.NaN;
  });

  it('compares a candidate with the baseline of the same round, and leaves out a round that failed', () => {
    const rows = rowsOf(results);
    const row = rows.find((entry) => entry.candidate === 'weft' && entry.measure === 'TCP 1 stream');
    expect(row).to.deep.include({ median: 850, min: 800, max: 900, ratio: 5.5 });
    expect(rows.filter((entry) => entry.measure === 'UDP 100 B delivered')).to.have.length(1);
    expect(rows.some((entry) => entry.measure === 'UDP 1200 B delivered')).to.equal(false);
  });

  it('renders a Markdown table whose rows are equally wide', () => {
    const lines = renderTable(results)
      .split('\n')
      .filter((line) => line.startsWith('|'));
    expect(lines).to.have.length(5);
    expect(new Set(lines.map((line) => line.length)).size).to.equal(1);
    expect(lines[3]).to.match(/^\| +\| weft +\| +850 \| +800 \| +900 \| +5\.50× \|$/);
  });

  it('renders JSON with rows and raw rounds', () => {
    const parsed = JSON.parse(renderJson(results)) as Results & { rows: unknown[] };
    expect(parsed.tracks).to.deep.equal(results.tracks);
    expect(parsed.rows).to.have.length(3);
  });

  it('plots one line per candidate with the points it has', () => {
    const svg = renderPlot(results);
    expect(svg.match(/<polyline/g)).to.have.length(2);
    expect(svg.match(/<circle/g)).to.have.length(1);
    expect(svg).to.include('>weft</text>').and.not.to.include('NaN');
  });
});

describe('traffic reports', () => {
  it('reads ping', () => {
    const text = [
      '64 bytes from 10.86.0.2: icmp_seq=1 ttl=64 time=0.276 ms',
      '64 bytes from 10.86.0.2: icmp_seq=3 ttl=64 time=1.5 ms',
      '64 bytes from 10.86.0.2: icmp_seq=3 ttl=64 time=1.6 ms (DUP!)',
      '64 bytes from 10.86.0.2: icmp_seq=4 ttl=64 time=0.3 ms',
      '4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 3003ms',
    ].join('\n');
    expect(parsePing(text, 3), 'the fourth was sent for want of an answer to the second').to.deep.equal({
      sent: 3,
      received: 2,
      duplicates: 1,
      rttMs: [0.276, 1.5],
    });
    expect(parsePing('connect: Network is unreachable', 3)).to.deep.include({ sent: 0, received: 0 });
  });

  it('reads iperf3, and repeats its complaint', () => {
    const sum = { bits_per_second: 8e6, bytes: 2e6, seconds: 2, packets: 10, lost_packets: 3 };
    expect(parseIperf(JSON.stringify({ end: { sum }, intervals: [{ sum: { bytes: 7 } }] }))).to.deep.include({
      bitsPerSecond: 8e6,
      packets: 10,
      lostPackets: 3,
      intervalBytes: [7],
    });
    expect(() => parseIperf('{"error":"unable to connect"}')).to.throw('iperf3: unable to connect');
    expect(() => parseIperf('')).to.throw('no report');
  });
});
