/**
 * One TCP connection to the DNS server: questions with their length in front, answered in order (RFC 7766 §6.2.1.1).
 *
 * A client that is slow, does not read its answers, sends noise or asks too much is cut off. How much it may have sent
 * ahead is bounded, and so is how much of that is answered before others get their turn.
 */
import type { Socket } from 'node:net';
import { QUERY_BYTES_MAX } from './answers.ts';

export interface TcpClientOptions {
  /** Null: no answer, and the client is not worth a connection. */
  readonly answer: (query: Uint8Array) => Uint8Array | null;
  /** For each question from the answer to the one before it, however slowly it comes. */
  readonly patienceMs: number;
  readonly onCutOff: () => void;
  /** Runs what may fail. */
  readonly guard: (work: () => void) => void;
}

const QUESTIONS_MAX = 256;
const QUESTIONS_PER_TURN = 8;
const UNSENT_BYTES_MAX = 65_536;

export class TcpClient {
  readonly #socket: Socket;
  readonly #options: TcpClientOptions;
  readonly #timer: NodeJS.Timeout;
  #pending: Buffer = Buffer.alloc(0);
  #questionCount = 0;

  constructor(socket: Socket, options: TcpClientOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#timer = setTimeout(() => this.#cutOff(), options.patienceMs);
    socket.once('close', () => clearTimeout(this.#timer));
    socket.on('data', (chunk) => {
      this.#pending = Buffer.concat([this.#pending, chunk]);
      options.guard(() => this.#serve());
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #serve(): void {
    if (this.#socket.destroyed) {
      return;
    }
    for (let turn = 0; turn < QUESTIONS_PER_TURN; turn++) {
      const length = this.#pending.length < 2 ? 0 : this.#pending.readUInt16BE(0);
      if (length > QUERY_BYTES_MAX) {
        this.#cutOff();
        return;
      }
      if (this.#pending.length < 2 || this.#pending.length < 2 + length) {
        return;
      }
      const answer = this.#options.answer(this.#pending.subarray(2, 2 + length));
      this.#pending = this.#pending.subarray(2 + length);
      if (
        answer === null ||
        ++this.#questionCount > QUESTIONS_MAX ||
        this.#socket.writableLength + answer.length > UNSENT_BYTES_MAX
      ) {
        this.#cutOff();
        return;
      }
      this.#socket.write(Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 0xff), answer]));
      this.#timer.refresh();
    }
    // The rest waits for the next turn of the loop, and whatever the client sends meanwhile waits in the kernel.
    this.#socket.pause();
    setImmediate(() => {
      this.#socket.resume();
      this.#options.guard(() => this.#serve());
    });
  }

  #cutOff(): void {
    this.#options.onCutOff();
    this.#socket.destroy();
  }
}
