/** What a mode of `weft cert` is: its flags as data, and the function that runs with their values. */
import { describeFlags, type FlagSpecs, type FlagValues, parseFlags } from '../flags.ts';
import { type CertIo, usageError } from './io.ts';

/** A mode as the dispatcher sees it. */
export interface Mode {
  readonly name: string;
  /** What it is for, in one line. */
  readonly summary: string;
  usage(): string;
  /** Runs with its arguments; `help` when they asked for the usage. Throws CommandError. */
  run(argv: readonly string[], io: CertIo): Promise<'done' | 'help'>;
}

/** Binds flags and function together. */
export function defineMode<Specs extends FlagSpecs>(
  name: string,
  summary: string,
  specs: Specs,
  run: (flags: FlagValues<Specs>, io: CertIo) => Promise<void>,
): Mode {
  return {
    name,
    summary,
    usage: () =>
      `Usage of weft cert ${name} <flags>: ${summary}\n` +
      '  Pass "-" to any path flag to read from stdin or write to stdout.\n' +
      describeFlags(specs),
    async run(argv, io) {
      const parsed = parseFlags(specs, argv);
      if (parsed.kind === 'help') {
        return 'help';
      }
      if (parsed.kind === 'error') {
        throw usageError(parsed.message);
      }
      if (parsed.rest.length > 0) {
        throw usageError(`unexpected argument: ${parsed.rest[0]}`);
      }
      await run(parsed.values, io);
      return 'done';
    },
  };
}
