/**
 * `weft cert`: makes, shows and checks certificates, with the modes, flags, refusals and exit codes of nebula-cert, whose
 * place it takes. On top come a readable `print`, a `verify` that says what was compared, and `renew`.
 */

import { CertificateError } from '../../../shared/cert/certificateError.ts';
import { hintOf } from '../../config/nearest.ts';
import { weftVersion } from '../../version.ts';
import { caMode } from './ca.ts';
import { type CertIo, CommandError, printable } from './io.ts';
import { keygenMode } from './keygen.ts';
import type { Mode } from './mode.ts';
import { printMode } from './print.ts';
import { renewMode } from './renew.ts';
import { signMode } from './sign.ts';
import { verifyMode } from './verify.ts';

export type { CertIo } from './io.ts';

const MODES: readonly Mode[] = [caMode, keygenMode, signMode, printMode, verifyMode, renewMode];

/** Runs one call, `argv` without `weft cert`; gives the exit code: 0, 1 for any failure, 2 for an unknown global flag. */
export async function runCert(argv: readonly string[], io: CertIo): Promise<number> {
  const word = argv[0];
  if (word === undefined) {
    io.stderr.write(`Error: No mode was provided\n${usage()}`);
    return 1;
  }
  if (word.startsWith('-')) {
    return runGlobalFlag(word, io);
  }
  const mode = MODES.find((candidate) => candidate.name === word);
  if (mode === undefined) {
    const hint = hintOf(
      word,
      MODES.map(({ name }) => name),
    );
    io.stderr.write(`Error: unknown mode: ${word}${hint}\n${usage()}`);
    return 1;
  }
  return runMode(mode, argv.slice(1), io);
}

async function runMode(mode: Mode, argv: readonly string[], io: CertIo): Promise<number> {
  try {
    if ((await mode.run(argv, io)) === 'help') {
      io.stderr.write(mode.usage());
    }
    return 0;
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof CertificateError)) {
      throw error;
    }
    io.stderr.write(`Error: ${printable(error.message)}\n`);
    if (error instanceof CommandError && error.isUsage) {
      io.stderr.write(mode.usage());
    }
    return 1;
  }
}

function runGlobalFlag(flag: string, io: CertIo): number {
  switch (flag.replace(/^--?/, '')) {
    case 'version':
      io.stdout.write(`Version: ${weftVersion()}\n`);
      return 0;
    case 'h':
    case 'help':
      io.stderr.write(usage());
      return 0;
    default:
      io.stderr.write(`flag provided but not defined: ${flag}\n${usage()}`);
      return 2;
  }
}

function usage(): string {
  const modes = MODES.map((mode) => `    ${mode.name} <flags>: ${mode.summary}\n`).join('');
  return (
    'Usage of weft cert <global flags> <mode>:\n' +
    '  Global flags:\n' +
    '    -version: Prints the version\n' +
    '    -h, -help: Prints this help message\n\n' +
    `  Modes:\n${modes}\n` +
    '  To see usage for a given mode, use: weft cert <mode> -h\n'
  );
}
