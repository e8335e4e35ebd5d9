/**
 * Metrics as Prometheus reads them: families of samples, and their text (exposition format 0.0.4). Knows the format,
 * nothing of what is measured.
 */

export type FamilyType = 'counter' | 'gauge' | 'histogram';
export type Labels = Readonly<Record<string, string | number>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** What a histogram's samples have behind the family's name. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
}

export interface MetricFamily {
  readonly name: string;
  readonly type: FamilyType;
  /** One line of any text. */
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Of a response with such a text. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Families without a sample, and those whose name an earlier one has, are left out. */
export function expositionOf(families: readonly MetricFamily[]): string {
  const names = new Set<string>();
  const lines: string[] = [];
  for (const { name, type, help, samples } of families) {
    if (samples.length > 0 && !names.has(name)) {
      names.add(name);
      lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
      for (const { labels, value, suffix } of samples) {
        lines.push(`${name}${suffix ?? ''}${labelText(labels)} ${valueText(value)}`);
      }
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(String(value))}"`);
  return entries.length === 0 ? '' : `{${entries.join(',')}}`;
}

function valueText(value: number): string {
  return Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** A name in a peer's certificate may hold anything. */
function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
