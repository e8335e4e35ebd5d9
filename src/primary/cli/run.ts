/**
 * `weft run -config PATH`: loads, checks, starts the node, waits for signals. SIGHUP reloads, SIGTERM and SIGINT stop.
 *
 * Above `Node.start` nothing touches the machine. Every reason not to start is one line on standard error and exit code
 * 1; a reload that finds a fault changes nothing and says why.
 */

import { errorText } from '../../shared/log/errorText.ts';
import { createLogger, type Logger, type RootLogger } from '../../shared/log/logger.ts';
import { forbidDumps } from '../../shared/sys/privileges.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/loader.ts';
import { formatProblem, hasErrors, type Problem } from '../config/problems.ts';
import { ConfigurationHealth } from '../inspection/health.ts';
import { Node } from '../node.ts';
import type { Identity } from '../pki/identity.ts';
import { validate } from '../validators.ts';
import { weftVersion } from '../version.ts';
import type { Io } from './usage.ts';

interface Loaded {
  /** null when a problem is an error. */
  readonly usable: { readonly config: Config; readonly identity: Identity } | null;
  readonly problems: readonly Problem[];
}

/** Runs until a signal ends it; returns the exit code. */
export async function runNode(path: string, io: Io): Promise<number> {
  forbidDumps();
  const loaded = load(path);
  if (loaded.usable === null) {
    for (const problem of loaded.problems) {
      io.stderr.write(`${formatProblem(problem)}\n`);
    }
    return 1;
  }
  const { config, identity } = loaded.usable;
  const log = createLogger(config.logging);
  logWarnings(log, loaded.problems);
  const health = new ConfigurationHealth();
  health.follow(loaded.problems);
  return new Promise((resolve) => {
    let isUp = false;
    const giveUp = (reason: string): void => {
      io.stderr.write(`weft ${isUp ? 'cannot go on' : 'did not start'}: ${reason}\n`);
      resolve(1);
      // Whatever a broken node has left open keeps its process no longer.
      setTimeout(() => process.exit(1), LEFTOVERS_MS_MAX).unref();
    };
    Node.start({ config, identity, log, health, onHopeless: giveUp }).then(
      (node) => {
        isUp = true;
        log.info('weft is up', { version: weftVersion(), ...node.describe() });
        watchSignals({ node, path, log, health }, resolve);
      },
      (error: unknown) => giveUp(errorText(error)),
    );
  });
}

const LEFTOVERS_MS_MAX = 3_000;

interface Running {
  readonly node: Node;
  readonly path: string;
  readonly log: RootLogger;
  readonly health: ConfigurationHealth;
}

function watchSignals(running: Running, stopped: (exitCode: number) => void): void {
  const { node, log } = running;
  let isStopping = false;
  const stop = (signal: string): void => {
    if (isStopping) {
      return;
    }
    isStopping = true;
    log.info('Caught signal, shutting down', { signal });
    node.stop().then(
      () => {
        log.info('Goodbye');
        stopped(0);
      },
      (error: unknown) => {
        log.error('Stopping failed', { error });
        stopped(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGHUP', () => {
    if (!isStopping) {
      node.boundary.guard('signal', () => reload(running));
    }
  });
  // Node would open its debugger: for whoever may signal, a way into a process that holds the key.
  process.on('SIGUSR1', () => log.debug('Ignored signal', { signal: 'SIGUSR1' }));
}

/**
 * Validates the whole configuration first; a fault leaves everything as it was. Throws when the machine refuses a step of
 * what is valid: the steps before it are in force, and the next reload does them all again.
 */
function reload({ node, path, log, health }: Running): void {
  const loaded = load(path);
  health.follow(loaded.problems);
  if (loaded.usable === null) {
    const errors = loaded.problems.filter((problem) => problem.severity === 'error').map(formatProblem);
    log.error('Error occurred while reloading config, the running configuration stays in force', { errors });
    return;
  }
  logWarnings(log, loaded.problems);
  try {
    node.reload(loaded.usable.config, loaded.usable.identity);
  } catch (error) {
    log.error('The reload stopped half way; reload again when the reason is gone', { error });
    throw error;
  }
}

function load(path: string): Loaded {
  const { config, problems, locate } = loadConfig(path);
  if (config === null) {
    return { usable: null, problems };
  }
  const validated = validate(config, locate, Math.floor(Date.now() / 1000));
  const all = [...problems, ...validated.problems];
  const { identity } = validated;
  return { usable: identity === null || hasErrors(all) ? null : { config, identity }, problems: all };
}

function logWarnings(log: Logger, problems: readonly Problem[]): void {
  for (const problem of problems.filter(({ severity }) => severity === 'warning')) {
    const { place, path, message, fields } = problem;
    log.warn(message, { ...fields, key: path, file: place.file, line: place.line });
  }
}
