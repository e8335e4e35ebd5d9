import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { Errno, viewMemory } from '../../../src/shared/sys/libc.ts';
import {
  SOCKADDR_BYTES,
  SocketFamily,
  writeLocalAddress,
  writeSocketAddress,
} from '../../../src/shared/tunnel/socketAddress.ts';
import { type SendCalls, UdpSender } from '../../../src/worker/ports/udpSender.ts';

interface Sent {
  readonly port: number;
  readonly bytes: number;
  /** 0: no UDP_SEGMENT. */
  readonly segment: number;
  readonly local: string;
  readonly first: number;
}

/** Plays sendmmsg: reads the messages as the kernel would, and answers from a script. */
class Kernel implements SendCalls {
  readonly sent: Sent[] = [];
  calls = 0;
  #errno = 0;
  /** Called per message; an errno refuses it. */
  refuse: (message: Sent) => number = () => 0;

  sendmmsg(_fd: number, messages: number, count: number): number {
    this.calls++;
    for (let index = 0; index < count; index++) {
      const message = readMessage(messages + index * 64);
      const errno = this.refuse(message);
      if (errno !== 0) {
        this.#errno = errno;
        return index === 0 ? -1 : index;
      }
      this.sent.push(message);
    }
    return count;
  }

  lastErrno(): number {
    return this.#errno;
  }
}

function word(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

function readMessage(address: number): Sent {
  const header = new DataView(viewMemory(address, 64));
  const name = new DataView(viewMemory(word(header, 0), 16));
  expect(word(header, 8)).to.equal(16);
  expect(word(header, 24)).to.equal(1);
  const iovec = new DataView(viewMemory(word(header, 16), 16));
  const bytes = word(iovec, 8);
  const data = new DataView(viewMemory(word(iovec, 0), Math.max(bytes, 1)));
  let segment = 0;
  let local = '';
  const length = word(header, 40);
  for (let at = 0; at < length; ) {
    const control = new DataView(viewMemory(word(header, 32) + at, 40));
    const [level, type] = [control.getUint32(8, true), control.getUint32(12, true)];
    if (level === 17) {
      expect([type, word(control, 0)]).to.deep.equal([103, 18]);
      segment = control.getUint16(16, true);
    } else {
      expect([level, type, word(control, 0), control.getUint32(16)]).to.deep.equal([0, 8, 28, 0]);
      local = [20, 21, 22, 23].map((index) => control.getUint8(index)).join('.');
    }
    at += (word(control, 0) + 7) & ~7;
  }
  return { port: name.getUint16(2), bytes, segment, local, first: data.getUint8(0) };
}

describe('UdpSender', () => {
  let arena: Arena;
  let kernel: Kernel;
  let sender: UdpSender;
  let next: number;
  const to: number[] = [];

  function start(areaBytes = 1 << 20, isSegmenting = true): void {
    kernel = new Kernel();
    sender = new UdpSender(arena, -1, SocketFamily.Ipv4, areaBytes, isSegmenting, kernel);
    next = 0;
  }

  beforeEach(() => {
    arena = new Arena(8 << 20);
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1);
    to.length = 0;
    for (let port = 1; port <= 3; port++) {
      to.push(arena.allocate(SOCKADDR_BYTES));
      writeSocketAddress(arena, to[port - 1], SocketFamily.Ipv4, mapped, 0, port);
    }
    start();
  });

  /** Queues a datagram whose first byte is its number. */
  function queue(length: number, destination = 0): void {
    const offset = sender.reserve(length);
    expect(offset).to.be.at.least(0);
    arena.bytes[offset] = next++;
    sender.commit(length, to[destination]);
  }

  it('joins datagrams of one size and destination, a shorter one last', () => {
    [100, 100, 100, 40, 100].forEach((length) => {
      queue(length);
    });
    expect(sender.flush()).to.equal(0);
    expect(kernel.sent).to.deep.equal([
      { port: 1, bytes: 340, segment: 100, local: '', first: 0 },
      { port: 1, bytes: 100, segment: 0, local: '', first: 4 },
    ]);
    expect([sender.sentCount, sender.runCount, sender.callCount]).to.deep.equal([5, 2, 1]);
  });

  it('starts a new run for a longer datagram, another destination, an ended run and an empty datagram', () => {
    queue(100);
    queue(101);
    queue(101, 1);
    queue(101, 0);
    sender.endRun();
    queue(101, 0);
    queue(0, 0);
    queue(101, 0);
    sender.flush();
    expect(kernel.sent.map(({ port, bytes, segment }) => [port, bytes, segment])).to.deep.equal([
      [1, 100, 0],
      [1, 101, 0],
      [2, 101, 0],
      [1, 101, 0],
      [1, 101, 0],
      [1, 0, 0],
      [1, 101, 0],
    ]);
  });

  it('keeps to 64 segments and 65,507 bytes', () => {
    for (let index = 0; index < 65; index++) {
      queue(10);
    }
    for (let index = 0; index < 60; index++) {
      queue(1300);
    }
    sender.flush();
    expect(kernel.sent.map(({ bytes, segment }) => [bytes, segment])).to.deep.equal([
      [640, 10],
      [10, 0],
      [65_000, 1300],
      [13_000, 1300],
    ]);
  });

  it('sends every datagram on its own without segmentation', () => {
    start(1 << 20, false);
    [100, 100, 100].forEach((length) => {
      queue(length);
    });
    sender.flush();
    expect(kernel.sent.map(({ bytes, segment, first }) => [bytes, segment, first])).to.deep.equal([
      [100, 0, 0],
      [100, 0, 1],
      [100, 0, 2],
    ]);
  });

  it('copies the destination when the run begins', () => {
    queue(100);
    arena.view.setUint16(to[0] + 2, 999);
    sender.flush();
    expect(kernel.sent[0].port).to.equal(1);
  });

  it('sends from the local address behind the destination, runs and single datagrams alike', () => {
    const local = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 22);
    writeLocalAddress(arena, to[1], local, 0);
    kernel.refuse = ({ segment, bytes }) => (segment > 0 && bytes === 300 ? Errno.EMSGSIZE : 0);
    for (const [length, destination] of [
      [100, 0],
      [100, 1],
      [100, 1],
      [50, 2],
      [150, 1],
      [150, 1],
    ]) {
      queue(length, destination);
    }
    sender.flush();
    expect(kernel.sent.map(({ port, bytes, segment, local }) => [port, bytes, segment, local])).to.deep.equal([
      [1, 100, 0, ''],
      [2, 200, 100, '192.0.2.22'],
      [3, 50, 0, ''],
      [2, 150, 0, '192.0.2.22'],
      [2, 150, 0, '192.0.2.22'],
    ]);
  });

  it('lets the kernel choose when the machine has that local address no more', () => {
    const local = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 22);
    writeLocalAddress(arena, to[1], local, 0);
    kernel.refuse = (message) => (message.local === '' ? 0 : Errno.EINVAL);
    for (const destination of [1, 1, 0]) {
      queue(100, destination);
    }
    expect(sender.flush()).to.equal(0);
    expect(kernel.sent.map(({ port, bytes, segment }) => [port, bytes, segment])).to.deep.equal([
      [2, 200, 100],
      [1, 100, 0],
    ]);
    expect([sender.droppedCount, sender.splitCount, sender.isSegmenting]).to.deep.equal([0, 0, true]);
  });

  it('turns segmentation off for good on EIO and resends the run as single datagrams', () => {
    kernel.refuse = ({ segment }) => (segment > 0 ? Errno.EIO : 0);
    [100, 100, 60].forEach((length) => {
      queue(length);
    });
    [80, 80].forEach((length) => {
      queue(length, 1);
    });
    expect(sender.flush()).to.equal(0);
    expect(sender.isSegmenting).to.equal(false);
    [50, 50].forEach((length) => {
      queue(length);
    });
    sender.flush();
    expect(kernel.sent.map(({ port, bytes, first }) => [port, bytes, first])).to.deep.equal([
      [1, 100, 0],
      [1, 100, 1],
      [1, 60, 2],
      [2, 80, 3],
      [2, 80, 4],
      [1, 50, 5],
      [1, 50, 6],
    ]);
    expect([sender.sentCount, sender.droppedCount, sender.splitCount]).to.deep.equal([7, 0, 1]);
  });

  it('splits only the run whose datagrams do not fit the path, and goes on segmenting', () => {
    kernel.refuse = ({ port, segment }) => (port === 1 && segment > 0 ? Errno.EMSGSIZE : 0);
    [100, 100].forEach((length) => {
      queue(length);
    });
    [100, 100].forEach((length) => {
      queue(length, 1);
    });
    sender.flush();
    expect(kernel.sent.map(({ port, bytes }) => [port, bytes])).to.deep.equal([
      [1, 100],
      [1, 100],
      [2, 200],
    ]);
    expect(sender.isSegmenting).to.equal(true);
  });

  it('falls back to 63 segments where the kernel counts the headers', () => {
    kernel.refuse = ({ bytes, segment }) => (segment > 0 && bytes + 28 > segment * 64 ? Errno.EINVAL : 0);
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 64; index++) {
        queue(100);
      }
      sender.flush();
    }
    expect(kernel.sent.map(({ bytes }) => bytes)).to.deep.equal([...new Array(64).fill(100), 6300, 100]);
    expect(sender.splitCount).to.equal(1);
  });

  it('drops the run of an unreachable destination and nothing else', () => {
    kernel.refuse = ({ port }) => (port === 2 ? Errno.ENETUNREACH : 0);
    for (const destination of [0, 1, 2]) {
      queue(100, destination);
      queue(100, destination);
    }
    expect(sender.flush()).to.equal(0);
    expect(kernel.sent.map(({ port }) => port)).to.deep.equal([1, 3]);
    expect([sender.sentCount, sender.droppedCount, sender.lastDropErrno]).to.deep.equal([4, 2, Errno.ENETUNREACH]);
  });

  it('drops single datagrams of a split run one by one', () => {
    kernel.refuse = ({ segment, first }) => (segment > 0 ? Errno.EIO : first === 1 ? Errno.EPERM : 0);
    [100, 100, 100].forEach((length) => {
      queue(length);
    });
    sender.flush();
    expect(kernel.sent.map(({ first }) => first)).to.deep.equal([0, 2]);
    expect(sender.droppedCount).to.equal(1);
  });

  it('retries EINTR and ENOBUFS at once, a bounded number of times', () => {
    let failures = 2;
    kernel.refuse = () => (failures-- > 0 ? Errno.EINTR : 0);
    queue(100);
    sender.flush();
    expect([sender.sentCount, sender.callCount]).to.deep.equal([1, 3]);
    kernel.refuse = ({ port }) => (port === 1 ? Errno.ENOBUFS : 0);
    queue(100, 0);
    queue(100, 1);
    sender.flush();
    expect([sender.sentCount, sender.droppedCount]).to.deep.equal([2, 1]);
    expect(sender.callCount).to.equal(3 + 4 + 1);
  });

  it('keeps what the socket does not take, in order, and sends it before anything newer', () => {
    let room = 1;
    kernel.refuse = () => (room-- > 0 ? 0 : Errno.EAGAIN);
    queue(100, 0);
    queue(100, 1);
    queue(100, 1);
    queue(100, 2);
    expect(sender.flush()).to.equal(2);
    expect(sender.backlog).to.equal(2);
    queue(100, 2);
    expect(sender.flush()).to.equal(3);
    room = 99;
    expect(sender.flush()).to.equal(0);
    expect(kernel.sent.map(({ port, bytes, first }) => [port, bytes, first])).to.deep.equal([
      [1, 100, 0],
      [2, 200, 1],
      [3, 100, 3],
      [3, 100, 4],
    ]);
    expect(sender.droppedCount).to.equal(0);
  });

  it('keeps the rest of a split run that the socket does not take', () => {
    let room = 2;
    kernel.refuse = ({ segment }) => (segment > 0 ? Errno.EIO : room-- > 0 ? 0 : Errno.EAGAIN);
    [100, 100, 100, 30].forEach((length) => {
      queue(length);
    });
    expect(sender.flush()).to.equal(1);
    room = 99;
    expect(sender.flush()).to.equal(0);
    expect(kernel.sent.map(({ bytes, first }) => [bytes, first])).to.deep.equal([
      [100, 0],
      [100, 1],
      [100, 2],
      [30, 3],
    ]);
  });

  it('refuses new datagrams while the backlog fills the area or the table, and recovers', () => {
    start(1);
    let isFull = true;
    kernel.refuse = () => (isFull ? Errno.EAGAIN : 0);
    for (let index = 0; index < 50; index++) {
      queue(1300);
    }
    expect(sender.reserve(1300)).to.equal(-1);
    isFull = false;
    expect(sender.reserve(1300)).to.be.at.least(0);
    expect(sender.sentCount).to.equal(50);
    isFull = true;
    for (let index = 0; index < 128; index++) {
      queue(10, index % 2);
    }
    expect(sender.reserve(10)).to.equal(-1);
    expect(sender.backlog).to.equal(128);
    isFull = false;
    expect(sender.flush()).to.equal(0);
    expect(sender.sentCount).to.equal(178);
  });

  it('reports a broken socket, drops everything and stays consistent', () => {
    kernel.refuse = () => Errno.EBADF;
    queue(100);
    queue(100);
    queue(100, 1);
    expect(sender.flush()).to.equal(-Errno.EBADF);
    expect([sender.droppedCount, sender.backlog]).to.deep.equal([3, 0]);
    expect(sender.flush()).to.equal(0);
  });
});
