/** A logger that keeps its lines, and a boundary over it: for parts that are tested without a node. */
import { Boundary } from '../../src/primary/boundary.ts';
import { type Fields, type Level, LevelLogger, type Logger } from '../../src/shared/log/logger.ts';

export interface LoggedLine {
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

export class CollectingLog extends LevelLogger {
  readonly lines: LoggedLine[] = [];

  /** Each line as `level message`. */
  get texts(): string[] {
    return this.lines.map(({ level, message }) => `${level} ${message}`);
  }

  log(level: Level, message: string, fields: Fields = {}): void {
    this.lines.push({ level, message, fields });
  }

  isEnabled(): boolean {
    return true;
  }

  child(): Logger {
    return this;
  }
}

/** What breaks the core is a line of level `error`, too. */
export function boundaryOver(log: CollectingLog): Boundary {
  const boundary = new Boundary({ log });
  void boundary.broken.then((reason) => log.error(`broken: ${reason}`));
  return boundary;
}
