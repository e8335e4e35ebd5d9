/** Starts a program as the primary starts its workers; the program calls `confine` itself, as they do. */
import { type ChildProcess, fork } from 'node:child_process';
import { ChildLaunch, type Launch } from '../../src/primary/workers/childLaunch.ts';
import type { UserIds } from '../../src/primary/workers/childUser.ts';
import { createLogger } from '../../src/shared/log/logger.ts';

/** Children as they would be without any of it, for tests that need no root or must not depend on it. */
export const UNCONFINED: Launch = {
  environment: {},
  identity: {},
  obstacle: () => null,
  launchConfined: (fork) => fork(),
};

export interface ConfinedChild {
  readonly child: ChildProcess;
  readonly user: UserIds;
}

/** `fds` become 4, 5, … of the child, behind the channel. */
export function forkConfined(program: string, args: readonly string[], fds: readonly number[] = []): ConfinedChild {
  const launch = new ChildLaunch(createLogger({ level: 'error', format: 'text', disableTimestamp: true }));
  try {
    const child = launch.launchConfined(() =>
      fork(program, args, {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fds],
        env: { ...process.env, ...launch.environment },
        ...launch.identity,
      }),
    );
    return { child, user: launch.user };
  } finally {
    launch.close();
  }
}
