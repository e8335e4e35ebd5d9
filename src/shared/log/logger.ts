/**
 * The logger of one process: levels, bound fields and JSON by pino, text lines by `textLine.ts`, written to standard
 * output by `lineSink.ts`. Level, format and time stamps change while it runs (reload). Primary and workers each make one
 * at start and hand it down; nothing imports a ready-made logger. Never called on the packet path.
 */
import { pino } from 'pino';
import { LineSink } from './lineSink.ts';
import { escapeUnprintable, textLine } from './textLine.ts';

export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** Values for a line: texts, numbers, lists, nested objects, errors, and values that have a `text` (addresses). */
export type Fields = Readonly<Record<string, unknown>>;

export interface LogSettings {
  readonly level: Level;
  readonly format: 'text' | 'json';
  readonly disableTimestamp: boolean;
}

export interface Logger {
  trace(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** One line at a level that is a value. */
  log(level: Level, message: string, fields?: Fields): void;
  /** Whether lines of this level are printed: ask before building costly fields. */
  isEnabled(level: Level): boolean;
  /** A logger that adds these fields to every line; it follows the settings of its parent. */
  child(fields: Fields): Logger;
}

/** The logger of a process together with its settings. */
export interface RootLogger extends Logger {
  /** Applies to this logger and all its children at once. */
  configure(settings: LogSettings): void;
}

export interface LoggerOptions extends LogSettings {
  /** Fields of every line, such as `worker`. */
  readonly fields?: Fields;
  /** Where lines go; standard output when left out. A line ends in a newline. */
  readonly write?: (line: string) => void;
  /** Wall clock in milliseconds. */
  readonly unixMs?: () => number;
}

export function createLogger(options: LoggerOptions): RootLogger {
  const unixMs = options.unixMs ?? Date.now;
  let settings: LogSettings = options;
  const worded = (line: string): string => (settings.format === 'json' ? escapeUnprintable(line) : textLine(line));
  const write = options.write ?? writerOf(new LineSink(1, (count) => worded(droppedLine(count))));
  const printer = pino(
    {
      level: settings.level,
      base: null,
      messageKey: 'msg',
      timestamp: () => (settings.disableTimestamp ? '' : `,"time":"${new Date(unixMs()).toISOString()}"`),
      formatters: { level: (label) => ({ level: LEVEL_WORDS[label] ?? label.toUpperCase() }) },
    },
    { write: (line: string) => write(worded(line)) },
  );
  const print = (level: Level, message: string, fields: Fields): void => printer[level](fields, message);
  const isEnabled = (level: Level): boolean => printer.isLevelEnabled(level);
  const bound = new BoundLogger(print, isEnabled, options.fields ?? {});
  return Object.assign(bound, {
    configure: (next: LogSettings): void => {
      settings = next;
      printer.level = next.level;
    },
  });
}

function writerOf(sink: LineSink): (line: string) => void {
  return (line) => sink.write(line);
}

function droppedLine(count: number): string {
  return `${JSON.stringify({ level: 'WARN', msg: 'Log lines were dropped, their reader is too slow or the disk was full', lines: count })}\n`;
}

/** As Go's slog prints levels, which Nebula uses. */
const LEVEL_WORDS: Readonly<Record<string, string>> = {
  trace: 'DEBUG-4',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
};

/** What every logger has in common: a word for each level. */
export abstract class LevelLogger implements Logger {
  trace(message: string, fields?: Fields): void {
    this.log('trace', message, fields);
  }

  debug(message: string, fields?: Fields): void {
    this.log('debug', message, fields);
  }

  info(message: string, fields?: Fields): void {
    this.log('info', message, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.log('warn', message, fields);
  }

  error(message: string, fields?: Fields): void {
    this.log('error', message, fields);
  }

  abstract log(level: Level, message: string, fields?: Fields): void;
  abstract isEnabled(level: Level): boolean;
  abstract child(fields: Fields): Logger;
}

class BoundLogger extends LevelLogger {
  readonly #print: (level: Level, message: string, fields: Fields) => void;
  readonly #fields: Fields;
  readonly #isEnabled: (level: Level) => boolean;

  constructor(
    print: (level: Level, message: string, fields: Fields) => void,
    isEnabled: (level: Level) => boolean,
    fields: Fields,
  ) {
    super();
    this.#print = print;
    this.#fields = fields;
    this.#isEnabled = isEnabled;
  }

  isEnabled(level: Level): boolean {
    return this.#isEnabled(level);
  }

  log(level: Level, message: string, fields?: Fields): void {
    if (this.isEnabled(level)) {
      this.#print(level, message, printable({ ...this.#fields, ...fields }));
    }
  }

  child(fields: Fields): Logger {
    return new BoundLogger(this.#print, this.#isEnabled, { ...this.#fields, ...fields });
  }
}

const DEPTH_MAX = 6;

/** Fields as JSON can hold them, without names that the line itself uses. */
function printable(fields: Fields): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) {
      result[RESERVED.has(name) ? `${name}_` : name] = printableValue(value, 0);
    }
  }
  return result;
}

const RESERVED: ReadonlySet<string> = new Set(['time', 'level', 'msg']);

function printableValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') {
    return value.toString();
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (value instanceof Error) {
    return value.message;
  }
  // Bytes may be keys: their number is all that a log may know.
  if (ArrayBuffer.isView(value)) {
    return `${value.byteLength} bytes`;
  }
  if ('text' in value && typeof value.text === 'string') {
    return value.text;
  }
  if (depth === DEPTH_MAX) {
    return '…';
  }
  if (Symbol.iterator in value && typeof value[Symbol.iterator] === 'function') {
    return Array.from(value as Iterable<unknown>, (item) => printableValue(item, depth + 1));
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, printableValue(item, depth + 1)]));
}
