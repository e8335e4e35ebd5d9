import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { Boundary } from '../../../src/primary/boundary.ts';
import { until } from '../../../src/primary/cli/demo/until.ts';
import { Supervisor } from '../../../src/primary/workers/supervisor.ts';
import { WorkerChannel } from '../../../src/primary/workers/workerChannel.ts';
import { createLogger } from '../../../src/shared/log/logger.ts';
import { METRIC_NAMES } from '../../../src/shared/memory/metrics.ts';
import { UNCONFINED } from '../../support/confinedChild.ts';

const STARTS = 3;

/** What `cluster.fork` gives when the kernel has refused the process: no pid, then `error`, never `exit`. */
function stillborn(id: number): Worker {
  const worker = Object.assign(new EventEmitter(), { id, process: { pid: undefined }, isConnected: () => false });
  process.nextTick(() => worker.emit('error', Object.assign(new Error('spawn node EMFILE'), { code: 'EMFILE' })));
  return worker as unknown as Worker;
}

describe('starts of workers that fail', () => {
  const { fork, setupPrimary } = cluster;
  beforeEach(() => {
    cluster.setupPrimary = () => undefined;
  });
  afterEach(() => {
    cluster.fork = fork;
    cluster.setupPrimary = setupPrimary;
  });

  for (const [how, start] of [
    ['by an error without an exit', stillborn],
    [
      'by an exception',
      () => {
        throw new Error('spawn ENOMEM');
      },
    ],
  ] as const) {
    it(`${how}: the next one comes, nothing is left of it, and a node that was never ready gives up`, async () => {
      let started = 0;
      cluster.fork = () => {
        started++;
        const worker = start(started);
        (cluster.workers as Record<number, Worker>)[started] = worker;
        return worker;
      };
      const channel = new WorkerChannel(1);
      const deaths: number[] = [];
      const reasons: string[] = [];
      const log = createLogger({ level: 'error', format: 'text', disableTimestamp: true, write: () => undefined });
      const supervisor = new Supervisor({
        fds: [{ tun: null, udp: 0, memories: [] }],
        channels: [channel],
        metrics: new Float64Array(METRIC_NAMES.length),
        launch: UNCONFINED,
        log,
        heapMebibytes: 256,
        boundary: new Boundary({ log }),
        settings: () => {
          throw new Error('nobody asks');
        },
      });
      void supervisor.start({
        onPunt: () => undefined,
        onDeath: (worker) => deaths.push(worker),
        onHopeless: (_, reason) => reasons.push(reason),
      });
      await until('the node to give up', () => reasons.length > 0);
      expect(started).to.be.greaterThan(STARTS);
      expect(deaths).to.have.length(started);
      expect(reasons[0]).to.match(/^spawn /);
      expect(Object.keys(cluster.workers ?? {})).to.deep.equal([]);
      await supervisor.stop();
      channel.close();
    });
  }
});
