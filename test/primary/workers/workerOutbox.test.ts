/** What the primary has to say to a worker that stands still: a bounded number of messages, and nothing essential lost. */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { OUTBOX_MESSAGES_MAX, WorkerOutbox } from '../../../src/primary/workers/workerOutbox.ts';
import type { ToWorker, WorkerSettings } from '../../../src/shared/ipc/messages.ts';

describe('outbox', () => {
  let sent: ToWorker[];
  /** One for each message that the kernel has not taken. */
  let pending: (() => void)[];
  let outbox: WorkerOutbox;

  beforeEach(() => {
    sent = [];
    pending = [];
    outbox = new WorkerOutbox((message, onWritten) => {
      sent.push(message);
      pending.push(onWritten);
    });
  });

  /** Fills what may be under way. */
  function block(): void {
    for (let version = 0; version < OUTBOX_MESSAGES_MAX; version++) {
      outbox.offer({ type: 'tick', version });
    }
    expect(sent).to.have.length(OUTBOX_MESSAGES_MAX);
    sent = [];
  }

  function settings(worker: number): ToWorker {
    return { type: 'settings', settings: { worker } as WorkerSettings };
  }

  const up: ToWorker = { type: 'hostUp', addresses: [new Uint8Array(16)] };

  it('sends at once while the kernel takes', () => {
    for (let version = 0; version < 1000; version++) {
      expect(outbox.offer({ type: 'tick', version })).to.equal(0);
      pending.shift()?.();
    }
    expect(sent).to.have.length(1000);
  });

  it('has a bounded number under way, whatever is offered, and drops no more than it says', () => {
    block();
    let lostCount = 0;
    for (let round = 0; round < 10_000; round++) {
      lostCount += outbox.offer(up);
      lostCount += outbox.offer(settings(round));
      lostCount += outbox.offer({ type: 'tick', version: round });
      lostCount += outbox.offer({ type: 'tunnelsClosed', slots: [round % 100] });
    }
    expect(sent).to.deep.equal([]);
    for (let onWritten = pending.shift(); onWritten !== undefined; onWritten = pending.shift()) {
      onWritten();
      expect(pending.length).to.be.at.most(OUTBOX_MESSAGES_MAX);
    }
    expect(lostCount).to.be.greaterThan(0);
    expect(sent.filter((message) => message === up).length + lostCount).to.equal(10_000);
  });

  it('merges what waits: the newest settings first, every closed slot once, the newest tick', () => {
    block();
    outbox.offer({ type: 'tunnelsClosed', slots: [5] });
    outbox.offer(settings(1));
    outbox.offer({ type: 'tick', version: 98 });
    outbox.offer({ type: 'tunnelsClosed', slots: [5, 6] });
    outbox.offer(up);
    outbox.offer(settings(2));
    outbox.offer({ type: 'tick', version: 99 });
    for (let count = 0; count < 6; count++) {
      pending.shift()?.();
    }
    expect(sent).to.deep.equal([
      settings(2),
      { type: 'tunnelsClosed', slots: [5, 6] },
      up,
      { type: 'tick', version: 99 },
    ]);
  });

  it('sends the last message to whoever does not listen', () => {
    block();
    outbox.offer({ type: 'stop' });
    expect(sent).to.deep.equal([{ type: 'stop' }]);
  });
});
