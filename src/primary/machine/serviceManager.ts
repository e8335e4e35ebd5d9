/**
 * Tells the service manager how far the node is: sd_notify(3), one datagram per message to the socket that NOTIFY_SOCKET
 * names. Node has no datagram sockets of the Unix kind, so libc's are used. Without a manager nothing is sent; a manager
 * that does not listen never disturbs the node.
 *
 *   READY=1          packets flow (again)
 *   RELOADING=1      a reload has begun; READY=1 follows, whatever came of it
 *   STOPPING=1       the node is ending
 */
import { AF_UNIX, MSG_DONTWAIT, O_CLOEXEC, SOCK_DGRAM } from '../../shared/sys/abi.ts';
import { check, libc } from '../../shared/sys/libc.ts';
import { clearScratch, scratch } from '../../shared/sys/scratch.ts';

const VARIABLE = 'NOTIFY_SOCKET';

export class ServiceManager {
  /** Path of a socket, or the name of an abstract one behind `@`; null: nobody is to be told. */
  readonly #socket: string | null;

  /** Takes the variable out of the environment: it is not for children. */
  static fromEnvironment(environment: NodeJS.ProcessEnv): ServiceManager {
    const socket = environment[VARIABLE];
    delete environment[VARIABLE];
    return new ServiceManager(socket ?? null);
  }

  constructor(socket: string | null) {
    this.#socket = socket !== null && /^[/@]./.test(socket) ? socket : null;
  }

  ready(): void {
    this.#tell('READY=1');
  }

  /** systemd takes the word for this reload by its moment on the monotonic clock. */
  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.#tell('STOPPING=1');
  }

  #tell(message: string): void {
    if (this.#socket === null) {
      return;
    }
    const text = Buffer.from(message);
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0);
    if (fd === -1) {
      return;
    }
    try {
      const nameLength = writeUnixSocketName(this.#socket);
      scratch.bytes.set(text, TEXT_OFFSET);
      const { address } = scratch;
      check(libc.sendto(fd, address + TEXT_OFFSET, text.length, MSG_DONTWAIT, address, nameLength), 'sendto');
    } catch {
      // The manager does not listen, or its queue is full: it has a time limit of its own for that.
    } finally {
      libc.close(fd);
    }
  }
}

/** struct sockaddr_un at the start of the scratch page; returns its length. Throws RangeError for a name that is too long. */
export function writeUnixSocketName(socket: string): number {
  const name = Buffer.from(socket);
  if (name.length >= PATH_BYTES_MAX) {
    throw new RangeError(`a Unix socket's name has less than ${PATH_BYTES_MAX} bytes: ${socket}`);
  }
  clearScratch(TEXT_OFFSET);
  scratch.view.setUint16(0, AF_UNIX, true);
  scratch.bytes.set(name, PATH_OFFSET);
  if (socket.startsWith('@')) {
    // Of an abstract name every byte counts; a path ends with a zero.
    scratch.bytes[PATH_OFFSET] = 0;
    return PATH_OFFSET + name.length;
  }
  return PATH_OFFSET + name.length + 1;
}

const PATH_OFFSET = 2;
const PATH_BYTES_MAX = 108;
/** Where in the scratch page the message lies. */
const TEXT_OFFSET = 256;
