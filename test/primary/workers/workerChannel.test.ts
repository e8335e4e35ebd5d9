/** The primary's end of a channel, with a writer in the same process: order, bounds per turn, faults, the end of a worker. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { until } from '../../../src/primary/cli/demo/until.ts';
import { WorkerChannel } from '../../../src/primary/workers/workerChannel.ts';
import { FrameKind, NO_ADDRESS } from '../../../src/shared/ipc/frames.ts';
import { ring } from '../../../src/shared/sys/doorbell.ts';
import { mapSharedMemory } from '../../../src/shared/sys/sharedMemory.ts';
import { PrimaryLink } from '../../../src/worker/primaryLink.ts';

const TUNNELS = 100_000;
const NO_BODY = new Uint8Array(0);

describe('channel of a worker', () => {
  let channel: WorkerChannel;
  let link: PrimaryLink;
  /** Slots of the closes that were heard, and everything else by name. */
  let heard: (number | string)[];
  let onFrame: (slot: number) => void;

  beforeEach(() => {
    channel = new WorkerChannel(TUNNELS);
    heard = [];
    onFrame = () => undefined;
    listen();
    link = new PrimaryLink(channel.memoryFd, channel.bellFd);
  });
  afterEach(() => channel.close());

  function listen(): void {
    channel.begin({
      onFrame: (frame) => {
        heard.push(frame.kind === 'close' ? frame.slot : frame.kind);
        onFrame(frame.kind === 'close' ? frame.slot : -1);
      },
      onFault: (reason) => heard.push(`fault: ${reason}`),
      onError: (error) => heard.push(`error: ${error}`),
    });
  }

  function close(slot: number): boolean {
    return link.frames.write(FrameKind.Close, slot, 2, 0, NO_ADDRESS, NO_ADDRESS, NO_BODY, 0, 0);
  }

  async function heardAll(count: number): Promise<void> {
    await until(`${count} frames`, () => heard.length >= count);
  }

  it('hears everything in order, rung once', async () => {
    for (let slot = 0; slot < 1000; slot++) {
      close(slot);
    }
    link.flush();
    await heardAll(1000);
    expect(heard).to.deep.equal(Array.from({ length: 1000 }, (_, slot) => slot));
  });

  it('leaves others their turns', async () => {
    for (let slot = 0; slot < 1000; slot++) {
      close(slot);
    }
    const turns: number[] = [];
    const look = (): void => {
      turns.push(heard.length);
      if (heard.length < 1000) {
        setImmediate(look);
      }
    };
    link.flush();
    setImmediate(look);
    await heardAll(1000);
    const steps = turns.map((count, index) => count - (turns[index - 1] ?? 0));
    expect(Math.max(...steps)).to.be.at.most(64);
  });

  it('hears what comes while it reads, and after it has stopped', async () => {
    let next = 1;
    onFrame = () => {
      if (next < 100) {
        close(next++);
        link.flush();
      }
    };
    close(0);
    link.flush();
    await heardAll(100);
    await new Promise((resolve) => setImmediate(resolve));
    close(100);
    link.flush();
    await heardAll(101);
  });

  it('loses one frame to an exception, and none behind it', async () => {
    onFrame = (slot) => {
      if (slot === 1) {
        throw new Error('half way');
      }
    };
    [0, 1, 2].forEach(close);
    link.flush();
    await heardAll(4);
    expect(heard).to.deep.equal([0, 1, 'error: Error: half way', 2]);
  });

  it('hears nothing after a fault, not even well-formed frames', async () => {
    close(0);
    close(TUNNELS);
    close(1);
    link.flush();
    await heardAll(2);
    close(2);
    link.flush();
    ring(channel.bellFd);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(heard).to.deep.equal([0, `fault: a frame of kind 7 with slot ${TUNNELS}`]);
  });

  it('finds the reason that a dead worker gave behind what it had still to say', () => {
    close(0);
    link.failed('out of luck\n');
    expect(channel.end()).to.equal('out of luck?');
    expect(heard).to.deep.equal([]);
  });

  it('finds no reason where there is none, or none to be believed', () => {
    close(0);
    link.flush();
    expect(channel.end()).to.equal('');
    listen();
    new Int32Array(mapSharedMemory(channel.memoryFd).buffer)[0] += 7;
    expect(channel.end()).to.equal('');
  });

  it('begins anew for the next worker, whatever the last one left', async () => {
    close(0);
    link.flush();
    channel.end();
    new Uint8Array(mapSharedMemory(channel.memoryFd).buffer).fill(0xff);
    listen();
    link = new PrimaryLink(channel.memoryFd, channel.bellFd);
    close(1);
    link.flush();
    await heardAll(1);
    expect(heard).to.deep.equal([1]);
  });

  it('is rung while the bell is full', async () => {
    for (let count = 0; count < 100_000; count++) {
      ring(channel.bellFd);
    }
    link.awake();
    await heardAll(1);
    expect(heard).to.deep.equal(['awake']);
  });
});
