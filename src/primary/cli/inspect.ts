/**
 * The commands that ask a running node share their frame: flags before or behind the words, `-h`, the socket, `-json`,
 * and how a failure is told. Exit codes: 0 answered (and yes), 1 no answer (or no), 2 wrong use.
 */
import { hintOf } from '../config/nearest.ts';
import { ApiClient, ApiClientError, chooseSocket } from './apiClient.ts';
import { boolFlag, describeFlags, type FlagSpecs, type FlagValues, parseFlags, stringFlag } from './flags.ts';
import type { Io } from './usage.ts';

export const INSPECT_FLAGS = {
  json: boolFlag('Print the answer as JSON, as the node gave it'),
  socket: stringFlag("Path of the node's api.socket (default: the only socket in /run/weft)"),
} satisfies FlagSpecs;

type InspectFlags = typeof INSPECT_FLAGS;

/** A faulty command line; the usage is printed below the message. */
export class UsageError extends Error {}

export interface Question<Specs extends InspectFlags> {
  readonly values: FlagValues<Specs>;
  /** The words beside the flags. */
  readonly words: readonly string[];
  readonly client: () => ApiClient;
}

/** What a command prints, and its exit code when that is not 0. */
export interface Answer {
  readonly json: unknown;
  readonly text: string;
  readonly exitCode?: 0 | 1;
}

interface CommandHelp {
  /** `weft firewall flows [flags]` */
  readonly call: string;
  /** Sentences below the call. */
  readonly about: string;
  readonly flags: FlagSpecs;
}

export interface InspectCommand<Specs extends InspectFlags> extends CommandHelp {
  readonly flags: Specs;
  readonly run: (question: Question<Specs>) => Promise<Answer>;
}

/** Runs one command; the result is the exit code. */
export async function inspect<Specs extends InspectFlags>(
  command: InspectCommand<Specs>,
  argv: readonly string[],
  io: Io,
): Promise<number> {
  const parsed = parseFlags(command.flags, flagsFirst(command.flags, argv));
  if (parsed.kind === 'help') {
    io.stdout.write(usageText(command));
    return 0;
  }
  if (parsed.kind === 'error') {
    io.stderr.write(`${parsed.message}\n\n${usageText(command)}`);
    return 2;
  }
  const { values, rest } = parsed;
  const base: FlagValues<InspectFlags> = values;
  const client = (): ApiClient => new ApiClient(chooseSocket(base.socket));
  try {
    const answer = await command.run({ values, words: rest, client });
    io.stdout.write(base.json ? `${JSON.stringify(answer.json, null, 2)}\n` : answer.text);
    return answer.exitCode ?? 0;
  } catch (error) {
    return report(error, command, io);
  }
}

/** Words of a command that has none. */
export function noWords(words: readonly string[]): void {
  if (words.length > 0) {
    throw new UsageError(`unexpected: ${words[0]}`);
  }
}

/** Help when it was asked for, else the complaint that no known subcommand was named; returns the exit code. */
export function subcommandFault(word: string | undefined, calls: readonly string[], io: Io): number {
  const text = `Usage:\n${calls.map((call) => `  ${call}\n`).join('')}Each of them explains itself with -h.\n`;
  if (word !== undefined && /^--?h(elp)?$/.test(word)) {
    io.stdout.write(text);
    return 0;
  }
  io.stderr.write(
    `${word === undefined ? 'a subcommand is missing' : `unknown subcommand: ${word}${subcommandHint(word, calls)}`}\n\n${text}`,
  );
  return 2;
}

/** `calls` are such as `weft firewall flows [-json]`. */
function subcommandHint(word: string, calls: readonly string[]): string {
  return hintOf(
    word,
    calls.map((call) => call.split(' ')[2]),
  );
}

function usageText(command: CommandHelp): string {
  return `Usage: ${command.call}\n${command.about}\n${describeFlags(command.flags)}`;
}

function report(error: unknown, command: CommandHelp, io: Io): number {
  if (error instanceof UsageError) {
    io.stderr.write(`${error.message}\n\n${usageText(command)}`);
    return 2;
  }
  if (error instanceof ApiClientError) {
    io.stderr.write([error.message, ...error.problems.map((problem) => `  ${problem}`), ''].join('\n'));
    return 1;
  }
  throw error;
}

/** Flags may stand behind the words: `weft why A B tcp 443 --json`. */
function flagsFirst(specs: FlagSpecs, argv: readonly string[]): string[] {
  const flags: string[] = [];
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index];
    if (argument === '--') {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      words.push(argument);
      continue;
    }
    flags.push(argument);
    const name = argument.replace(/^--?/, '');
    const takesValue = Object.hasOwn(specs, name) && specs[name].kind !== 'bool';
    if (takesValue && index + 1 < argv.length) {
      flags.push(argv[++index]);
    }
  }
  return [...flags, '--', ...words];
}
