/** The socket of a service manager, as sd_notify(3) has it: what was sent to it, message by message. */
import { writeUnixSocketName } from '../../src/primary/machine/serviceManager.ts';
import { check, libc } from '../../src/shared/sys/libc.ts';
import { scratch } from '../../src/shared/sys/scratch.ts';

const FAMILY_UNIX = 1;
const SOCKET_DATAGRAM = 2;
const NON_BLOCKING = 0o4000;
const CLOSE_ON_EXEC = 0o2000000;

export class ManagerSocket {
  readonly name: string;
  readonly #fd: number;
  readonly #messages: string[] = [];

  /** `name` is a path, or an abstract name behind `@`. */
  constructor(name: string) {
    this.name = name;
    this.#fd = check(libc.socket(FAMILY_UNIX, SOCKET_DATAGRAM | NON_BLOCKING | CLOSE_ON_EXEC, 0), 'socket');
    const length = writeUnixSocketName(name);
    check(libc.bind(this.#fd, scratch.address, length), 'bind');
  }

  /** All messages so far, in their order. */
  get messages(): readonly string[] {
    for (;;) {
      const length = libc.recv(this.#fd, scratch.address, 4096, 0);
      if (length < 0) {
        return this.#messages;
      }
      this.#messages.push(Buffer.from(scratch.bytes.subarray(0, length)).toString());
    }
  }

  close(): void {
    libc.close(this.#fd);
  }
}
