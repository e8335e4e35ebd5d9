/**
 * `weft check -config PATH`: prints every problem of a configuration, and a short summary when it can be used. Touches
 * neither device nor socket. Secrets are never printed.
 */
import type { Config } from '../config/config.ts';
import { formatDuration } from '../config/duration.ts';
import { type LoadedConfig, loadConfig } from '../config/loader.ts';
import { formatProblem, hasErrors, type Problem, sortProblems } from '../config/problems.ts';
import { defaultSocketPath } from '../config/socketPath.ts';
import { boolFlag, describeFlags, parseFlags, stringFlag } from './flags.ts';
import { countText } from './table.ts';
import type { Io } from './usage.ts';

/** What a check found, and what it can tell of a usable configuration: names and values for the summary. */
export interface Findings {
  readonly problems: readonly Problem[];
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** A check that needs more than the file, such as reading the certificates it names. */
export type Validator = (config: Config, locate: LoadedConfig['locate']) => Findings;

/** What would make a usable configuration faster on this machine, in one line; null: nothing. */
export type Adviser = (config: Config) => string | null;

const FLAGS = {
  config: stringFlag('Path of a YAML file, or of a directory whose .yaml and .yml files are merged'),
  strict: boolFlag('Take a warning for a failure: exit code 1'),
};

/** Exit code 0: usable; 1: not usable, or with -strict not without a warning; 2: wrong flags. `validators` run when the file itself has no error. */
export function checkCommand(
  argv: readonly string[],
  io: Io,
  validators: readonly Validator[] = [],
  advise: Adviser = () => null,
): number {
  const flags = parseFlags(FLAGS, argv);
  if (flags.kind === 'help') {
    io.stdout.write(usageText());
    return 0;
  }
  const fault = flags.kind === 'error' ? flags.message : flags.rest.length > 0 ? `unexpected: ${flags.rest[0]}` : null;
  if (fault !== null || flags.kind === 'error') {
    io.stderr.write(`${fault}\n${usageText()}`);
    return 2;
  }
  if (flags.values.config === '') {
    io.stderr.write(`-config flag must be set\n${usageText()}`);
    return 1;
  }
  return checkPath(flags.values.config, io, validators, advise, flags.values.strict);
}

/** The same without flags: what `weft -test -config PATH` does. */
export function checkPath(
  path: string,
  io: Io,
  validators: readonly Validator[],
  advise: Adviser = () => null,
  isStrict: boolean = false,
): number {
  const loaded = loadConfig(path);
  const { config } = loaded;
  const findings = config === null ? [] : validators.map((validator) => validator(config, loaded.locate));
  const problems = sortProblems([...loaded.problems, ...findings.flatMap((found) => found.problems)]);
  for (const problem of problems) {
    io.stderr.write(`${formatProblem(problem)}\n`);
  }
  if (config === null || hasErrors(problems)) {
    const errors = problems.filter((problem) => problem.severity === 'error').length;
    io.stderr.write(`${path}: not usable, ${countText(errors, 'error')}\n`);
    return 1;
  }
  const facts = findings.flatMap((found) => found.facts);
  io.stdout.write(summary(path, loaded.files, config, facts));
  const advice = advise(config);
  if (advice !== null) {
    io.stdout.write(`${advice}\n`);
  }
  if (isStrict && problems.length > 0) {
    io.stderr.write(`${path}: ${countText(problems.length, 'warning')}\n`);
    return 1;
  }
  return 0;
}

function usageText(): string {
  return `Usage: weft check -config PATH [-strict]\n${describeFlags(FLAGS)}`;
}

function summary(path: string, files: readonly string[], config: Config, facts: Findings['facts']): string {
  const { conntrack } = config.firewall;
  const cache = conntrack.routineCacheTimeoutMs;
  const lines: readonly (readonly [string, string])[] = [
    ['files', files.join(', ')],
    ...facts,
    ['routines', `${config.routines}, flow cache ${cache === 0 ? 'off' : formatDuration(cache)}`],
    ['listen', `${config.listen.host} port ${config.listen.port === 0 ? 'chosen by the kernel' : config.listen.port}`],
    ['device', deviceText(config)],
    ['cipher', config.cipher],
    ['role', roleText(config)],
    ['static hosts', String(config.staticHostMap.length)],
    ['inbound', `${countText(config.firewall.inbound.length, 'rule')}, else ${config.firewall.inboundAction}`],
    ['outbound', `${countText(config.firewall.outbound.length, 'rule')}, else ${config.firewall.outboundAction}`],
    ['capacity', `${countText(config.tunnels.max, 'tunnel')}, ${countText(conntrack.maxConnections, 'flow')}`],
    ['logging', `${config.logging.level}, ${config.logging.format}`],
    ['control', config.api.socket === '' ? defaultSocketPath('<device>') : (config.api.socket ?? 'off')],
  ];
  return `${path}: usable\n${lines.map(([name, value]) => `  ${name.padEnd(12)}  ${value}\n`).join('')}`;
}

function deviceText({ tun }: Config): string {
  if (tun.disabled) {
    return 'none';
  }
  const routes = tun.routes.length + tun.unsafeRoutes.length;
  return `${tun.dev === '' ? 'named by the kernel' : tun.dev}, MTU ${tun.mtu}, ${countText(routes, 'route')}`;
}

function roleText({ lighthouse }: Config): string {
  if (lighthouse.amLighthouse) {
    return 'lighthouse';
  }
  return lighthouse.hosts.length === 0
    ? 'host without lighthouse'
    : `host of ${lighthouse.hosts.map((host) => host.text).join(', ')}`;
}
