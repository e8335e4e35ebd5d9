/** Delivered UDP throughput by datagram size, one line per candidate, as an SVG that needs nothing else. */
import { median } from './measure.ts';
import type { Results } from './report.ts';

const WIDTH = 820;
const HEIGHT = 460;
const TITLE = 'UDP delivered through one tunnel, by datagram size (median)';
const LEFT = 70;
const RIGHT = 210;
const TOP = 50;
const BOTTOM = 60;
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#666666', '#000000'];

interface Line {
  readonly name: string;
  /** Payload bytes and Mbit/s of payload. */
  readonly points: readonly (readonly [bytes: number, megabits: number])[];
}

/** Needs the measures `UDP N B delivered` in kpps. */
export function renderPlot(results: Results): string {
  const lines = linesOf(results);
  const sizes = lines.flatMap((line) => line.points.map(([bytes]) => bytes));
  const xMax = Math.max(...sizes, 1);
  const yMax = niceCeiling(Math.max(...lines.flatMap((line) => line.points.map(([, megabits]) => megabits)), 1));
  const x = (bytes: number): number => LEFT + (bytes / xMax) * (WIDTH - LEFT - RIGHT);
  const y = (megabits: number): number => HEIGHT - BOTTOM - (megabits / yMax) * (HEIGHT - TOP - BOTTOM);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<title>${TITLE}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="24" font-size="16">${TITLE}</text>`,
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => gridLine(y(share * yMax), share * yMax)),
    ...[...new Set(sizes)].map((bytes) => label(x(bytes), HEIGHT - BOTTOM + 20, 'middle', `${bytes}`)),
    label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, 'middle', 'payload of a datagram, bytes'),
    label(14, TOP - 12, 'start', 'Mbit/s'),
    ...lines.map((line, index) => drawLine(line, index, x, y)),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function linesOf(results: Results): Line[] {
  return results.tracks.map((track) => {
    const points = results.measures.flatMap((measure): [number, number][] => {
      const bytes = Number(/^UDP (\d+) B delivered$/.exec(measure.name)?.[1] ?? 0);
      const kpps = track.rounds.flatMap((values) => values[measure.name] ?? []);
      return bytes === 0 || kpps.length === 0 ? [] : [[bytes, (median(kpps) * bytes * 8) / 1000]];
    });
    return { name: track.candidate, points };
  });
}

function drawLine(line: Line, index: number, x: (bytes: number) => number, y: (megabits: number) => number): string {
  const color = COLORS[index % COLORS.length];
  const path = line.points.map(([bytes, megabits]) => `${x(bytes).toFixed(1)},${y(megabits).toFixed(1)}`).join(' ');
  const dots = line.points.map(
    ([bytes, megabits]) =>
      `<circle cx="${x(bytes).toFixed(1)}" cy="${y(megabits).toFixed(1)}" r="3.5" fill="${color}"/>`,
  );
  const legendY = TOP + index * 22;
  return [
    `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>`,
    ...dots,
    `<line x1="${WIDTH - RIGHT + 20}" x2="${WIDTH - RIGHT + 44}" y1="${legendY}" y2="${legendY}" stroke="${color}" stroke-width="3"/>`,
    label(WIDTH - RIGHT + 52, legendY + 4, 'start', line.name),
  ].join('\n');
}

function gridLine(y: number, megabits: number): string {
  const line = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#ddd"/>`;
  return `${line}\n${label(LEFT - 8, y + 4, 'end', megabits.toFixed(0))}`;
}

function label(x: number, y: number, anchor: string, text: string): string {
  const safe = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${safe}</text>`;
}

/** The next of 1, 2, 4, 6, 8 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 4, 6, 8, 10].find((step) => step * power >= value) ?? 10;
  return factor * power;
}
