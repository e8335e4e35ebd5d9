#!/usr/bin/env node
/**
 * Entry of the program: finds the command, runs it, sets the exit code. Commands know nothing of each other; only this
 * file touches `process`.
 */

import type { Config } from '../shared/config/config.ts';
import type { LoadedConfig } from '../shared/config/loader.ts';
import type { Problem } from '../shared/config/problems.ts';
import { runCert } from './cli/cert/main.ts';
import { checkCommand, checkPath } from './cli/check.ts';
import { demoCommand } from './cli/demo.ts';
import { firewallCommand } from './cli/firewall.ts';
import { boolFlag, type FlagSpecs, parseFlags, stringFlag } from './cli/flags.ts';
import { hostsCommand } from './cli/hosts.ts';
import { lighthouseCommand } from './cli/lighthouse.ts';
import { runNode } from './cli/run.ts';
import { metricsCommand, statusCommand } from './cli/status.ts';
import { type Io, usage } from './cli/usage.ts';
import { versionCommand } from './cli/version.ts';
import { whyCommand } from './cli/why.ts';
import { validate } from './validators.ts';

/** As nebula's own flags; `weft run` takes the same. */
const RUN_FLAGS = {
  config: stringFlag('Path of a YAML file, or of a directory whose .yaml and .yml files are merged'),
  test: boolFlag('Check the configuration and exit, like `weft check`'),
  version: boolFlag('Print the version and exit'),
} satisfies FlagSpecs;

const io: Io = { stdout: process.stdout, stderr: process.stderr };

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'run':
      return run(rest);
    case 'check':
      return checkCommand(rest, io, [validator]);
    case 'version':
      return versionCommand(io);
    case 'cert':
      return runCert(rest, { ...io, stdin: process.stdin, env: process.env, now: Date.now });
    case 'status':
      return statusCommand(rest, io);
    case 'metrics':
      return metricsCommand(rest, io);
    case 'hosts':
      return hostsCommand(rest, io);
    case 'firewall':
      return firewallCommand(rest, io);
    case 'why':
      return whyCommand(rest, io);
    case 'lighthouse':
      return lighthouseCommand(rest, io);
    case 'demo':
      return demoCommand(rest, io);
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
      io.stderr.write(`unknown command: ${command}\n\n${usage()}`);
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
    return checkPath(flags.values.config, io, [validator]);
  }
  return runNode(flags.values.config, io);
}

function validator(config: Config, locate: LoadedConfig['locate']): readonly Problem[] {
  const { identity, problems } = validate(config, locate, Math.floor(Date.now() / 1000));
  identity?.privateKey.fill(0);
  return problems;
}
