#!/usr/bin/env node
/**
 * Entry of the program: finds the command, runs it, sets the exit code. Commands know nothing of each other; only this
 * file touches `process`. Each is loaded when it is asked for: a question to a running node starts in a fifth of the time
 * that loading the node itself takes (0.1 s against 0.5 s).
 */

import type { Adviser, Validator } from './cli/check.ts';
import { boolFlag, type FlagSpecs, parseFlags, stringFlag } from './cli/flags.ts';
import { lastWords, tell, watchOutput } from './cli/lastWords.ts';
import { RunSignals } from './cli/runSignals.ts';
import { commandHint, type Io, usage } from './cli/usage.ts';
import { versionCommand } from './version.ts';

/** As nebula's own flags; `weft run` takes the same. */
const RUN_FLAGS = {
  config: stringFlag('Path of a YAML file, or of a directory whose .yaml and .yml files are merged'),
  test: boolFlag('Check the configuration and exit, like `weft check`'),
  version: boolFlag('Print the version and exit'),
} satisfies FlagSpecs;

const io: Io = { stdout: process.stdout, stderr: process.stderr };

watchOutput();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  tell(lastWords(error));
  process.exit(1);
}

async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'run':
      return run(rest);
    case 'check':
      return (await import('./cli/check.ts')).checkCommand(rest, io, [await loadValidator()], await loadAdviser());
    case 'schema':
      return (await import('./cli/schema.ts')).schemaCommand(rest, io);
    case 'version':
      return versionCommand(io);
    case 'cert':
      return (await import('./cli/cert/main.ts')).runCert(rest, {
        ...io,
        stdin: process.stdin,
        env: process.env,
        now: Date.now,
      });
    case 'status':
      return (await import('./cli/status.ts')).statusCommand(rest, io);
    case 'metrics':
      return (await import('./cli/status.ts')).metricsCommand(rest, io);
    case 'hosts':
      return (await import('./cli/hosts.ts')).hostsCommand(rest, io);
    case 'firewall':
      return (await import('./cli/firewall.ts')).firewallCommand(rest, io);
    case 'why':
      return (await import('./cli/why.ts')).whyCommand(rest, io);
    case 'lighthouse':
      return (await import('./cli/lighthouse.ts')).lighthouseCommand(rest, io);
    case 'demo':
      return (await import('./cli/demo.ts')).demoCommand(rest, io);
    case undefined:
      io.stderr.write(usage());
      return 1;
    case 'help':
    case '-h':
    case '--h':
    case '-help':
    case '--help':
      io.stdout.write(usage());
      return 0;
    default:
      if (command.startsWith('-')) {
        return run(argv);
      }
      io.stderr.write(`unknown command: ${command}${commandHint(command)}\n\n${usage()}`);
      return 2;
  }
}

async function run(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(RUN_FLAGS, argv);
  if (flags.kind === 'help') {
    io.stdout.write(usage());
    return 0;
  }
  if (flags.kind === 'error' || flags.rest.length > 0) {
    io.stderr.write(`${flags.kind === 'error' ? flags.message : `unexpected: ${flags.rest[0]}`}\n\n${usage()}`);
    return 2;
  }
  if (flags.values.version) {
    return versionCommand(io);
  }
  if (flags.values.config === '') {
    io.stderr.write(`-config flag must be set\n\n${usage()}`);
    return 1;
  }
  if (flags.values.test) {
    return (await import('./cli/check.ts')).checkPath(
      flags.values.config,
      io,
      [await loadValidator()],
      await loadAdviser(),
    );
  }
  // Before the node is loaded, which takes a while.
  const signals = new RunSignals();
  return (await import('./cli/run.ts')).runNode(flags.values.config, io, signals);
}

async function loadValidator(): Promise<Validator> {
  const { expiryProblems, identityFacts, validate } = await import('./validators.ts');
  return (config, locate) => {
    const unixSeconds = Math.floor(Date.now() / 1000);
    const { identity, problems } = validate(config, locate, unixSeconds);
    if (identity === null) {
      return { problems, facts: [] };
    }
    identity.privateKey.fill(0);
    const expiries = expiryProblems(identity, locate, unixSeconds);
    return { problems: [...problems, ...expiries], facts: identityFacts(identity, unixSeconds) };
  };
}

async function loadAdviser(): Promise<Adviser> {
  const { cipherAdvice } = await import('../shared/crypto/providers.ts');
  return ({ cipher, crypto }) => (cipher === 'aes' && crypto.provider === null ? cipherAdvice() : null);
}
