/** A control group (version 1 or 2) that limits how many processes and threads some programs may have. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';

const CONTROLLERS = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'];

export class PidsGroup {
  /** Why there is none: such a machine cannot run the test. */
  readonly obstacle: string | null;
  readonly #path: string = '';

  constructor() {
    for (const controller of CONTROLLERS) {
      const path = `${controller}/weft-test-${process.pid}`;
      try {
        mkdirSync(path);
      } catch {
        continue;
      }
      if (existsSync(`${path}/pids.max`)) {
        this.#path = path;
        break;
      }
      rmdirSync(path);
    }
    this.obstacle = this.#path === '' ? 'no control group for processes can be made here' : null;
  }

  take(pids: readonly number[]): void {
    for (const pid of pids) {
      writeFileSync(`${this.#path}/cgroup.procs`, String(pid));
    }
  }

  limit(max: number | 'max'): void {
    writeFileSync(`${this.#path}/pids.max`, String(max));
  }

  /** Nobody may be in it any more. */
  close(): void {
    rmdirSync(this.#path);
  }
}
