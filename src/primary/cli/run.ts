/**
 * `weft run -config PATH`: loads, checks, starts the node, waits for signals. SIGHUP reloads, SIGTERM and SIGINT stop; a
 * signal that comes during the start ends it in order, or reloads after it. The service manager is told of each step.
 *
 * Above `Node.start` nothing touches the machine. Every reason not to start is one line on standard error and exit code
 * 1; a reload that finds a fault changes nothing and says why.
 */

import { errorText } from '../../shared/log/errorText.ts';
import { createLogger, type Logger } from '../../shared/log/logger.ts';
import { forbidDumps } from '../../shared/sys/privileges.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/loader.ts';
import { formatProblem, hasErrors, type Problem } from '../config/problems.ts';
import { ConfigurationHealth } from '../inspection/health.ts';
import { ServiceManager } from '../machine/serviceManager.ts';
import { Node } from '../node.ts';
import type { Identity } from '../pki/identity.ts';
import { validate } from '../validators.ts';
import { weftVersion } from '../version.ts';
import type { RunSignals } from './runSignals.ts';
import type { Io } from './usage.ts';

interface Loaded {
  /** null when a problem is an error. */
  readonly usable: { readonly config: Config; readonly identity: Identity } | null;
  readonly problems: readonly Problem[];
}

interface Running {
  readonly node: Node;
  readonly path: string;
  readonly log: Logger;
  readonly health: ConfigurationHealth;
}

/** Runs until a signal ends it; returns the exit code. */
export async function runNode(path: string, io: Io, signals: RunSignals): Promise<number> {
  forbidDumps();
  const manager = ServiceManager.fromEnvironment(process.env);
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
    const { stop } = signals;
    let isUp = false;
    const end = (exitCode: number): void => {
      resolve(exitCode);
      // Whatever a node has left open keeps its process no longer.
      setTimeout(() => process.exit(exitCode), LEFTOVERS_MS_MAX).unref();
    };
    const giveUp = (reason: string): void => {
      io.stderr.write(`weft ${isUp ? 'cannot go on' : 'did not start'}: ${reason}\n`);
      end(1);
    };
    const goodbye = (): void => {
      log.info('Goodbye');
      end(0);
    };
    whenAborted(stop, () => {
      manager.stopping();
      log.info('Caught signal, shutting down', { signal: stop.reason });
    });
    Node.start({ config, identity, log, health, stop, onHopeless: giveUp }).then(
      (node) => {
        isUp = true;
        log.info('weft is up', { version: weftVersion(), ...node.describe() });
        manager.ready();
        whenAborted(stop, () => void node.stop().then(goodbye, (error: unknown) => giveUp(errorText(error))));
        signals.onReload(() => {
          manager.reloading();
          node.boundary.guard('signal', () => reload({ node, path, log, health }));
          manager.ready();
        });
      },
      (error: unknown) => (stop.aborted ? goodbye() : giveUp(errorText(error))),
    );
  });
}

const LEFTOVERS_MS_MAX = 3_000;

function whenAborted(signal: AbortSignal, work: () => void): void {
  if (signal.aborted) {
    work();
  } else {
    signal.addEventListener('abort', work, { once: true });
  }
}

/**
 * Validates the whole configuration first; a fault leaves everything as it was. What the machine refuses of a valid one
 * keeps its old values, and is told by the node. Throws only when the core is broken.
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
    health.stoppedHalfWay(errorText(error));
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
