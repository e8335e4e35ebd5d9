/**
 * How the primary starts a process that will read what strangers send: as another user, without capabilities, in a network
 * namespace without interfaces. The other half is the child's own (`shared/sys/privileges.ts`).
 *
 *   primary, once                         each fork                              child, when it has loaded all
 *   user id · what the machine allows  ─► [in the empty namespaces: fork, exec] ─► confine()
 *
 * Root's child starts as root, so that it may read its program wherever that lies, and changes its user itself; a primary
 * that is not root has the child started as the other user, without a capability from the first instruction.
 */
import { randomInt } from 'node:crypto';
import { errorText } from '../../shared/log/errorText.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { confinementEnvironment } from '../../shared/sys/privileges.ts';
import { denyRings, filterObstacle } from '../../shared/sys/seccomp.ts';
import { type CapabilityName, keepFromChildren, missingCapabilities } from '../machine/capabilities.ts';
import { EmptyNamespaces } from '../machine/emptyNamespaces.ts';
import { ProgramFiles, type ProgramLook } from '../machine/programFiles.ts';
import { chooseChildUser, type UserIds, userFacts } from './childUser.ts';
import { ProgramWatch, type StartObstacle } from './programWatch.ts';

/** Why a child is gone, in the words of the log. */
export function endOfChild(code: number | null, signal: string | null): string {
  if (signal === null) {
    return `exit code ${code}`;
  }
  return signal === 'SIGSYS' ? 'signal SIGSYS, for a system call that its filter forbids' : `signal ${signal}`;
}

/** What a supervisor of children needs of it. */
export interface Launch {
  /** For cluster.fork and child_process: what the child's environment has beside the primary's. */
  readonly environment: NodeJS.ProcessEnv;
  /** For cluster.setupPrimary and child_process: empty for root. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
  /** To be asked before each start: null when nothing is against it. */
  obstacle(): StartObstacle | null;
  /** Runs `fork`, which starts one child on this thread, synchronously, where the child is to live. */
  launchConfined<T>(fork: () => T): T;
}

export class ChildLaunch implements Launch {
  /** Whom the children run as. */
  readonly user: UserIds;
  readonly environment: NodeJS.ProcessEnv;
  readonly identity: { readonly uid?: number; readonly gid?: number };
  readonly program: ProgramWatch;
  readonly #namespaces: EmptyNamespaces | null;

  /**
   * Looks at the machine, warns once of each protection that it does not offer, and takes from this thread for good what
   * children are not to inherit. Throws an Error with the remedy when children could not be given a user of their own.
   */
  constructor(log: Logger, program: ProgramWatch = new ProgramWatch(lookAtProgram(), log)) {
    this.program = program;
    const missing = missingCapabilities(NEEDED);
    if (missing.length > 0) {
      throw new Error(
        `workers need a user of their own, and weft may not give them one: ${missing.join(' and ')} ` +
          `${missing.length === 1 ? 'is' : 'are'} missing. Start weft as root, or with ` +
          `AmbientCapabilities=${['CAP_NET_ADMIN', ...NEEDED].join(' ')} in its systemd unit`,
      );
    }
    this.user = chooseChildUser(userFacts(randomInt(2 ** 32) / 2 ** 32));
    const obstacle = unfiltered() ?? filterObstacle();
    if (obstacle !== null) {
      log.warn('Workers run without a filter of system calls', { reason: obstacle });
    }
    this.environment = confinementEnvironment({
      ...this.user,
      parent: process.pid,
      hasFilter: obstacle === null,
    });
    this.identity = process.geteuid?.() === 0 ? {} : this.user;
    keepFromChildren();
    if (obstacle === null) {
      denyRings();
    }
    this.#namespaces = emptyNamespaces(log);
  }

  obstacle(): StartObstacle | null {
    return this.program.obstacle();
  }

  launchConfined<T>(fork: () => T): T {
    return this.#namespaces === null ? fork() : this.#namespaces.visit(fork);
  }

  /** No child is started any more. */
  close(): void {
    this.program.close();
    this.#namespaces?.close();
  }
}

/** To change the child's user, and to end a child that is another user's. */
const NEEDED: readonly CapabilityName[] = ['CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'];

/** A node under Node's profiler: workers write their profiles when they end, which needs files. */
function unfiltered(): string | null {
  const flag = process.execArgv.find((argument) => /^--(cpu|heap)-prof\b/.test(argument));
  return flag === undefined ? null : `node ${flag} writes files`;
}

function lookAtProgram(): () => ProgramLook {
  const files = new ProgramFiles();
  return () => files.look();
}

function emptyNamespaces(log: Logger): EmptyNamespaces | null {
  try {
    return new EmptyNamespaces();
  } catch (error) {
    log.warn('Workers stay in the network namespace of the node', { reason: errorText(error) });
    return null;
  }
}
