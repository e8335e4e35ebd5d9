import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LineSink } from '../../../src/shared/log/lineSink.ts';

/** A pipe that takes `room` bytes, then fails with `code`. */
class Pipe {
  room = Number.POSITIVE_INFINITY;
  code = 'EAGAIN';
  text = '';

  readonly write = (fd: number, bytes: Uint8Array, offset: number): number => {
    expect(fd).to.equal(1);
    if (this.room === 0) {
      throw Object.assign(new Error(this.code), { code: this.code });
    }
    const count = Math.min(this.room, bytes.length - offset);
    this.text += Buffer.from(bytes.subarray(offset, offset + count)).toString();
    this.room -= count;
    return count;
  };
}

function sinkTo(pipe: Pipe): LineSink {
  return new LineSink(1, (count) => `dropped ${count}\n`, pipe.write);
}

describe('line sink', () => {
  it('writes lines at once', () => {
    const pipe = new Pipe();
    const sink = sinkTo(pipe);
    sink.write('a\n');
    sink.write('b\n');
    expect(pipe.text).to.equal('a\nb\n');
  });

  it('finishes a line that went out in part, drops what does not fit, and says how many', () => {
    const pipe = new Pipe();
    const sink = sinkTo(pipe);
    pipe.room = 3;
    for (const line of ['first\n', 'second\n', 'third\n']) {
      sink.write(line);
    }
    expect(pipe.text).to.equal('fir');
    expect(sink.droppedCount).to.equal(2);
    pipe.room = 1000;
    sink.write('fourth\n');
    sink.write('fifth\n');
    expect(pipe.text).to.equal('first\ndropped 2\nfourth\nfifth\n');
    expect(sink.droppedCount).to.equal(0);
  });

  it('goes on when nobody reads any more', () => {
    const pipe = new Pipe();
    const sink = sinkTo(pipe);
    pipe.room = 0;
    pipe.code = 'EPIPE';
    sink.write('a\n');
    sink.write('b\n');
    expect(sink.droppedCount).to.equal(0);
    pipe.room = 10;
    sink.write('c\n');
    expect(pipe.text).to.equal('c\n');
  });

  it('keeps the begun line while the disk is full, and counts the others', () => {
    const pipe = new Pipe();
    const sink = sinkTo(pipe);
    pipe.room = 1;
    pipe.code = 'ENOSPC';
    sink.write('a\n');
    sink.write('b\n');
    expect(sink.droppedCount).to.equal(1);
    pipe.room = 100;
    sink.write('c\n');
    expect(pipe.text).to.match(/^a\n.*1.*\nc\n$/s);
  });

  it('tries again after a signal', () => {
    let calls = 0;
    let text = '';
    const sink = new LineSink(
      1,
      () => '',
      (_fd, bytes) => {
        if (calls++ === 0) {
          throw Object.assign(new Error('EINTR'), { code: 'EINTR' });
        }
        text += Buffer.from(bytes).toString();
        return bytes.length;
      },
    );
    sink.write('a\n');
    expect(text).to.equal('a\n');
  });
});
