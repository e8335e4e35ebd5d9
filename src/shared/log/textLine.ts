/**
 * Turns a JSON log line into a line of words: `time=… level=INFO msg="…" key=value`, as Nebula 1.11 prints (Nebula
 * protocol: logging). Nested objects become `key.sub=value`, lists `[a b]`. What a peer chose (names, reasons) can
 * neither start a line nor reach the terminal: everything but plain printable text is quoted and escaped.
 */

/** `line` is one JSON object; the result ends in a newline. */
export function textLine(line: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(line);
  const words: string[] = [];
  for (const [key, value] of Object.entries({ time, level, msg })) {
    if (value !== undefined) {
      words.push(`${key}=${quoted(String(value))}`);
    }
  }
  append(words, '', fields);
  return `${words.join(' ')}\n`;
}

/** Escapes what JSON leaves alone and a terminal would obey; for text inside JSON strings. */
export function escapeUnprintable(json: string): string {
  return json.replaceAll(UNPRINTABLE, escapeUnit);
}

function append(words: string[], prefix: string, fields: object): void {
  for (const [key, value] of Object.entries(fields)) {
    const name = prefix + (isPlain(key) ? key : quoted(key));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      append(words, `${name}.`, value);
    } else {
      words.push(`${name}=${quoted(valueText(value))}`);
    }
  }
}

function valueText(value: unknown): string {
  if (!Array.isArray(value)) {
    return String(value);
  }
  const hasObjects = value.some((item) => typeof item === 'object' && item !== null);
  return hasObjects ? JSON.stringify(value) : `[${value.join(' ')}]`;
}

function quoted(text: string): string {
  return isPlain(text) ? text : escapeUnprintable(JSON.stringify(text));
}

function isPlain(text: string): boolean {
  return /^[!#-<>-~]+$/.test(text);
}

/** Control characters beyond ASCII, direction marks, separators and invisible characters, which JSON leaves alone. */
const UNPRINTABLE = /[\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff0-\uffff]/g;

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
