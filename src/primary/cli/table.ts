/** Text tables for the terminal: columns as wide as their widest cell, numbers to the right. */

export interface Column {
  readonly title: string;
  /** Right-aligned. */
  readonly isNumber?: boolean;
}

/** Header and rows as lines; empty text when there are no rows. Cells that are null become a dash. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  if (rows.length === 0) {
    return '';
  }
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(cellText))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => [...row[index]].length)));
  return cells.map((row) => `${formatRow(row, columns, widths)}\n`).join('');
}

/** `name  value` lines, names padded to one width. */
export function formatFields(fields: readonly (readonly [name: string, value: string | number | null])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}\n`).join('');
}

/** Seconds as `3d4h`, `5h6m`, `7m8s`, `9s`: two units, for the eye. */
export function formatAge(seconds: number): string {
  const whole = Math.abs(Math.floor(seconds));
  const sign = seconds < 0 ? '-' : '';
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3_600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) {
    return `${sign}${days}d${hours}h`;
  }
  if (hours > 0) {
    return `${sign}${hours}h${minutes}m`;
  }
  return minutes > 0 ? `${sign}${minutes}m${whole % 60}s` : `${sign}${whole}s`;
}

/** `1 rule`, `2 rules`. */
export function countText(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function formatRow(row: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  const cells = row.map((cell, index) =>
    columns[index].isNumber === true ? cell.padStart(widths[index]) : cell.padEnd(widths[index]),
  );
  return cells.join('  ').trimEnd();
}

/** Text from a peer's certificate or a rule must not steer the terminal. */
function cellText(value: string | number | null): string {
  if (value === null || value === '') {
    return '-';
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must go
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
