/** What a piece of code allocates on V8's heap, exactly: growth, plus what the collections that happened gave back. */
import { Session } from 'node:inspector';
import { GCProfiler } from 'node:v8';

/** Bytes allocated while `run` runs; a few hundred of them are the measurement's own. */
export function allocatedBytes(run: () => void): number {
  const profiler = new GCProfiler();
  profiler.start();
  const before = process.memoryUsage().heapUsed;
  run();
  const growth = process.memoryUsage().heapUsed - before;
  const freed = profiler
    .stop()
    .statistics.map((pass) => pass.beforeGC.heapStatistics.usedHeapSize - pass.afterGC.heapStatistics.usedHeapSize);
  return growth + freed.reduce((sum, bytes) => sum + bytes, 0);
}

/** Objects allocated while `run` runs, counted one by one by V8's sampling profiler: slow, so give it few requests. */
export function allocatedObjects(run: () => void): number {
  const session = new Session();
  session.connect();
  let count = 0;
  try {
    session.post('HeapProfiler.startSampling', {
      samplingInterval: 1,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    } as object);
    run();
    session.post('HeapProfiler.stopSampling', (error, result) => {
      if (error !== null) {
        throw error;
      }
      count = (result.profile as { samples?: readonly unknown[] }).samples?.length ?? 0;
    });
  } finally {
    session.disconnect();
  }
  return count;
}
