import { closeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { check, libc } from '../../../src/shared/sys/libc.ts';
import { FdWatcher } from '../../../src/shared/sys/poll.ts';

const arena = new Arena(4096);

/** A non-blocking eventfd: readable when its count is above zero. */
function eventfd(): number {
  return check(libc.eventfd(0, 0o4000), 'eventfd');
}

function ring(fd: number): void {
  arena.view.setUint32(0, 1, true);
  arena.view.setUint32(4, 0, true);
  check(libc.write(fd, arena.address, 8), 'write');
}

function drain(fd: number): void {
  check(libc.read(fd, arena.address, 8), 'read');
}

describe('FdWatcher', () => {
  it('calls back when readable, again while work is left, and not after close', async () => {
    const fd = eventfd();
    let calls = 0;
    await new Promise<void>((resolve, reject) => {
      const watcher = new FdWatcher(
        fd,
        (readable, writable) => {
          expect([readable, writable]).to.deep.equal([true, false]);
          calls++;
          if (calls === 3) {
            watcher.close();
            watcher.close();
            setImmediate(() => setImmediate(resolve));
          }
        },
        reject,
      );
      ring(fd);
    });
    expect(calls).to.equal(3);
    closeSync(fd);
  });

  it('reports an exception of the callback and goes on', async () => {
    const fd = eventfd();
    const errors: string[] = [];
    await new Promise<void>((resolve) => {
      const watcher = new FdWatcher(
        fd,
        () => {
          if (errors.length < 2) {
            throw new Error(`broken ${errors.length}`);
          }
          drain(fd);
          watcher.close();
          resolve();
        },
        (error) => errors.push((error as Error).message),
      );
      ring(fd);
    });
    expect(errors).to.deep.equal(['broken 0', 'broken 1']);
    closeSync(fd);
  });

  it('switches interest in writing on and off', async () => {
    const fd = eventfd();
    const seen: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const watcher = new FdWatcher(
        fd,
        (readable, writable) => {
          seen.push(`${readable ? 'r' : ''}${writable ? 'w' : ''}`);
          if (writable && seen.length === 1) {
            watcher.watchWritable(false);
            ring(fd);
          } else {
            watcher.close();
            resolve();
          }
        },
        reject,
      );
      watcher.watchWritable(true);
      watcher.watchWritable(true);
    });
    expect(seen).to.deep.equal(['w', 'r']);
    closeSync(fd);
  });

  it('survives a collection without being referenced', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const fd = eventfd();
    await new Promise<void>((resolve, reject) => {
      watchOnce(fd, resolve, reject);
      collect();
      ring(fd);
    });
    closeSync(fd);
  });
});

function watchOnce(fd: number, resolve: () => void, reject: (error: unknown) => void): void {
  const watcher = new FdWatcher(
    fd,
    () => {
      watcher.close();
      resolve();
    },
    reject,
  );
}
