import { Writable } from 'node:stream';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { ZoneFeed } from '../../../../src/primary/lighthouse/dns/feed.ts';
import { decodeZoneLine, LineSplitter, type ZoneLine } from '../../../../src/shared/ipc/zoneLines.ts';
import { ip } from '../../../support/addresses.ts';
import { QUIET } from '../../../support/dnsZone.ts';

/** A pipe that takes everything at once, or nothing until it is read. */
class Pipe extends Writable {
  readonly lines: ZoneLine[] = [];
  readonly #splitter = new LineSplitter((line) => this.lines.push(decodeZoneLine(line)));
  #waiting: (() => void) | null = null;
  isRead = true;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#splitter.push(String(chunk));
    if (this.isRead) {
      done();
    } else {
      this.#waiting = done;
    }
  }

  read(): void {
    this.isRead = true;
    this.#waiting?.();
    this.#waiting = null;
  }
}

describe('feed of the DNS process', () => {
  let certificates: Map<string, string>;
  let feed: ZoneFeed;

  beforeEach(() => {
    certificates = new Map();
    feed = new ZoneFeed({
      certificateJson: (address) => certificates.get(address.text) ?? null,
      ownAddresses: () => [ip('10.0.0.1')],
    });
    feed.configure(QUIET);
  });

  it('tells a new reader everything, and then what is new', () => {
    certificates.set('10.0.0.7', '{}');
    feed.add('db', [ip('10.0.0.7'), ip('10.0.0.8'), ip('fd42::7')]);
    const pipe = new Pipe();
    feed.attach(pipe);
    expect(pipe.lines).to.deep.equal([
      { kind: 'settings', ownAddresses: ['10.0.0.1'], log: QUIET },
      { kind: 'name', name: 'db', v4: '10.0.0.7', v6: 'fd42::7' },
      { kind: 'certificate', address: '10.0.0.7', json: '{}' },
      { kind: 'certificate', address: '10.0.0.8', json: null },
      { kind: 'certificate', address: 'fd42::7', json: null },
    ]);
    certificates.clear();
    feed.refresh([ip('10.0.0.7')]);
    expect(pipe.lines.at(-1)).to.deep.equal({ kind: 'certificate', address: '10.0.0.7', json: null });
    const next = new Pipe();
    feed.attach(next);
    expect(next.lines.map(({ kind }) => kind)).to.deep.equal(['settings', 'name']);
  });

  it('holds nothing but names for a reader that does not read, and tells it the last value later', () => {
    const pipe = new Pipe();
    pipe.isRead = false;
    feed.attach(pipe);
    for (let round = 0; round < 1_000; round++) {
      for (let host = 1; host <= 100; host++) {
        certificates.set(`10.0.0.${host}`, `${round} ${'x'.repeat(1_000)}`);
        feed.add(`host${host}`, [ip(`10.0.0.${host}`)]);
      }
    }
    expect(pipe.writableLength).to.be.lessThan(70_000);
    pipe.read();
    const known = new Map(
      pipe.lines.flatMap((line) => (line.kind === 'certificate' ? [[line.address, line.json]] : [])),
    );
    expect(known.size).to.equal(100);
    expect(known.get('10.0.0.100')).to.match(/^999 /);
    // What was written before the pipe was full comes again, once.
    expect(pipe.lines.length).to.be.lessThan(400);
  });

  it('keeps names whole that hold line separators, and leaves out a certificate without end', () => {
    const pipe = new Pipe();
    feed.attach(pipe);
    const name = 'a\n"b\u2028c\u2029d\r\\';
    certificates.set('10.0.0.7', 'x'.repeat(70_000));
    feed.add(name, [ip('10.0.0.7')]);
    expect(pipe.lines.slice(1)).to.deep.equal([{ kind: 'name', name, v4: '10.0.0.7', v6: null }]);
  });

  it('makes lines of any pieces', () => {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line));
    for (const piece of ['', 'a', 'b\nc', '\n\n', 'd\ne']) {
      splitter.push(piece);
    }
    expect(lines).to.deep.equal(['ab', 'c', '', 'd']);
  });
});
