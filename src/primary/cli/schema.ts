/** `weft schema`: prints the JSON Schema of a configuration, with which an editor checks and completes a file. */
import { configSchema } from '../config/configSchema.ts';
import { parseFlags } from './flags.ts';
import type { Io } from './usage.ts';

/** Exit code 0, or 2 for wrong use. */
export function schemaCommand(argv: readonly string[], io: Io): number {
  const flags = parseFlags({}, argv);
  if (flags.kind === 'help') {
    io.stdout.write(USAGE);
    return 0;
  }
  if (flags.kind === 'error' || flags.rest.length > 0) {
    io.stderr.write(`${flags.kind === 'error' ? flags.message : `unexpected: ${flags.rest[0]}`}\n${USAGE}`);
    return 2;
  }
  io.stdout.write(`${JSON.stringify(configSchema(), null, 2)}\n`);
  return 0;
}

const USAGE = 'Usage: weft schema\nPrints the JSON Schema (draft 7) of a configuration file, for editors.\n';
