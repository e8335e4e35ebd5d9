/**
 * What the primary tells the DNS process: one JSON value a line, in one direction only. The reader trusts the writer, and
 * never the other way round: nothing comes back.
 */
import type { LogSettings } from '../log/logger.ts';

export type ZoneLine =
  /** A host of this name exists, with these first addresses; again with others when they have changed. */
  | { readonly kind: 'name'; readonly name: string; readonly v4: string | null; readonly v6: string | null }
  /** The certificate of the host with a vpn address as JSON; null when there is none any more. */
  | { readonly kind: 'certificate'; readonly address: string; readonly json: string | null }
  /** This node's own vpn addresses, and how to log. */
  | { readonly kind: 'settings'; readonly ownAddresses: readonly string[]; readonly log: LogSettings };

/** A certificate has a few hundred bytes; what is longer than this is left out by the writer. */
export const ZONE_LINE_BYTES_MAX = 65_536;

/** The line with its newline, or null when it would be too long. */
export function encodeZoneLine(line: ZoneLine): string | null {
  const text = `${JSON.stringify(line)}\n`;
  return Buffer.byteLength(text) > ZONE_LINE_BYTES_MAX ? null : text;
}

/** Throws SyntaxError for what this file did not write. */
export function decodeZoneLine(text: string): ZoneLine {
  return JSON.parse(text) as ZoneLine;
}

/** Makes lines of pieces of text. A line ends with a newline and nothing else: names may hold other line separators. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(piece: string): void {
    const lines = piece.split('\n');
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop() ?? '';
    lines.forEach(this.#onLine);
  }
}

/** So often the DNS process says that it lives. */
export const DNS_BEAT_MS = 500;

/** Descriptors of the DNS process by number; 0 is the pipe with the lines, 1 and 2 are the log. */
export const DnsFd = { Udp: 3, Tcp: 4, Counters: 5 } as const;
