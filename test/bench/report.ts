/** The benchmark's results as a table for people, with the machine they were taken on, and as JSON for programs. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../support/sourceTree.ts';
import { TUNNEL_MTU } from './contest.ts';
import { socketBufferBytes } from './datagrams.ts';
import { type Measure, median, type Values } from './measure.ts';

/** All rounds of one candidate, in order. */
export interface Track {
  readonly candidate: string;
  readonly rounds: readonly Values[];
}

export interface Results {
  readonly header: { readonly [line: string]: string };
  readonly measures: readonly Measure[];
  readonly tracks: readonly Track[];
  /** The candidate that ratios are taken to. */
  readonly baseline: string;
}

export interface Row {
  readonly measure: string;
  readonly unit: string;
  readonly candidate: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Median over the rounds of this candidate's value to the baseline's of the same round; NaN without a baseline. */
  readonly ratio: number;
}

/** The machine and the versions of everything that took part. */
export function describeRun(rounds: number, seconds: number): { [line: string]: string } {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    machine: `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    weft: `${weftVersion()} on Node ${process.version}`,
    nebula: firstLine('nebula', '-version'),
    'wireguard-go': firstLine('dpkg-query', '-W', '-f', `${'$'}{Version}`, 'wireguard-go'),
    iperf3: firstLine('iperf3', '--version'),
    load: `UDP with socket buffers of ${socketBufferBytes() / 1024} KiB`,
    method: `${rounds} rounds in turns, ${seconds} s per stream, MTU ${TUNNEL_MTU} inside the tunnel, all on this machine`,
  };
}

export function rowsOf(results: Results): Row[] {
  const base = results.tracks.find((track) => track.candidate === results.baseline);
  return results.measures.flatMap((measure) =>
    results.tracks.flatMap((track) => {
      const pairs = track.rounds.map((values, round) => [values[measure.name], base?.rounds[round]?.[measure.name]]);
      const numbers = pairs.flatMap(([value]) => (value === undefined ? [] : [value]));
      if (numbers.length === 0) {
        return [];
      }
      const ratios = pairs.flatMap(([value, of]) => (value === undefined || of === undefined ? [] : [value / of]));
      return [
        {
          measure: measure.name,
          unit: measure.unit,
          candidate: track.candidate,
          median: median(numbers),
          min: Math.min(...numbers),
          max: Math.max(...numbers),
          ratio: median(ratios),
        },
      ];
    }),
  );
}

/** The header, then one Markdown table: it can be pasted into docs/performance.md as it stands. */
export function renderTable(results: Results): string {
  const digits = new Map(results.measures.map((measure) => [measure.name, measure.digits]));
  const cells = rowsOf(results).map((row) => {
    const show = (value: number): string => value.toFixed(digits.get(row.measure));
    const ratio = Number.isNaN(row.ratio) ? '' : `${row.ratio.toFixed(2)}×`;
    return [`${row.measure}, ${row.unit}`, row.candidate, show(row.median), show(row.min), show(row.max), ratio];
  });
  const head = ['measure', 'candidate', 'median', 'min', 'max', `to ${results.baseline}`];
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column].length)));
  const isNumber = (column: number): boolean => column >= 2;
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (isNumber(column) ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`;
  const shown = cells.map((row, index) => (index > 0 && cells[index - 1][0] === row[0] ? ['', ...row.slice(1)] : row));
  const header = Object.entries(results.header).map(([name, value]) => `* ${name}: ${value}`);
  return `${header.join('\n')}\n\n${[line(head), rule, ...shown.map(line)].join('\n')}\n`;
}

export function renderJson(results: Results): string {
  return `${JSON.stringify({ ...results, rows: rowsOf(results) }, null, 2)}\n`;
}

function weftVersion(): string {
  const root = repositoryRoot();
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const commit = firstLine('git', '-C', root, 'rev-parse', '--short', 'HEAD');
  return `${version} (${commit})`;
}

function firstLine(command: string, ...words: readonly string[]): string {
  try {
    return execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0];
  } catch {
    return 'not installed';
  }
}
