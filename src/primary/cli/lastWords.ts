/**
 * How the program ends when something fails that no command has foreseen: one line for what the machine refuses, a stack
 * only for a defect of weft, which it is a report of.
 *
 * A command whose output nobody takes (EPIPE, ENOSPC) has failed. A node is another matter: its log is written by
 * `shared/log/lineSink.ts`, which goes on without a reader.
 */
import { writeSync } from 'node:fs';
import { errorText } from '../../shared/log/errorText.ts';

/** What an error of a kind that only wrong code throws has to say is where. */
export function lastWords(error: unknown): string {
  const isDefect = error instanceof TypeError || error instanceof ReferenceError || error instanceof SyntaxError;
  const isOfNode = error instanceof Error && 'code' in error;
  return isDefect && !isOfNode ? `weft has a defect, please report it: ${error.stack}` : `weft: ${oneLine(error)}`;
}

/** Ends the program when standard output takes nothing any more; standard error is nobody's concern. */
export function watchOutput(): void {
  process.stdout.on('error', (error) => {
    tell(`weft: standard output cannot be written: ${error.message}`);
    process.exit(1);
  });
  process.stderr.on('error', () => undefined);
}

/** At once, for the process ends. Never throws. */
export function tell(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // There is nobody left to tell.
  }
}

function oneLine(error: unknown): string {
  return errorText(error).split('\n', 1)[0];
}
