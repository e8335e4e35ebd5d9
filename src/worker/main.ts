/**
 * Entry of a worker process: waits for its settings, takes its file descriptors, gives up its privileges, runs the loop.
 *
 * Everything that needs files (modules, libraries) is loaded before privileges are dropped. A worker holds no truth: it
 * may be killed at any instruction and its successor takes the same descriptors. When the primary goes, it goes.
 */
import { type ToWorker, WorkerFd, type WorkerSettings } from '../shared/ipc/messages.ts';
import { errorText } from '../shared/log/errorText.ts';
import { createLogger, type RootLogger } from '../shared/log/logger.ts';
import { confine, confinementFromEnvironment } from '../shared/sys/privileges.ts';
import { PrimaryLink } from './primaryLink.ts';
import { QueueWorker } from './queueWorker.ts';

const primary = new PrimaryLink(WorkerFd.Channel, WorkerFd.Bell);
let log: RootLogger | null = null;
let running: QueueWorker | null = null;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) {
  // A signal to the whole process group is the primary's to act on. SIGUSR1 would open Node's inspector.
  process.on(signal, () => undefined);
}
process.once('disconnect', () => process.exit(0));
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('message', (message: ToWorker) => {
  try {
    receive(message);
  } catch (error) {
    fail(error);
  }
});

primary.awake();

function receive(message: ToWorker): void {
  if (message.type === 'start') {
    start(message.settings, message.warmsUp);
  } else if (message.type === 'stop') {
    running?.close();
    process.disconnect();
  } else {
    running?.receive(message);
  }
}

function start(settings: WorkerSettings, warmsUp: boolean): void {
  const logger = createLogger({ ...settings.log, fields: { worker: settings.worker } });
  log = logger;
  running = new QueueWorker(settings, {
    fds: { tun: WorkerFd.Tun, udp: WorkerFd.Udp, facts: WorkerFd.Facts, common: WorkerFd.Common, own: WorkerFd.Own },
    log: logger,
    sink: primary,
    onFault: fail,
    warmsUp,
  });
  confine(confinementFromEnvironment(), 'worker');
  running.run();
  primary.ready();
}

/** A defect or a broken machine: says why and ends; the primary starts a successor. */
function fail(error: unknown): void {
  const reason = errorText(error);
  log?.error('Worker cannot go on', { reason });
  log?.debug('Where the fault was', { stack: error instanceof Error ? (error.stack ?? '') : '' });
  primary.failed(reason);
  process.exit(1);
}
