/**
 * The error of a failed system call: which call, which errno, what the operator can do about it.
 *
 * Thrown by everything in `shared/sys` that runs at start or on reload. The packet path never throws one: the ports
 * return negative errno numbers instead. Nothing here calls into libc; `libc.ts` supplies the number.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Errno numbers of Linux that the program looks at by name. EBADFD is what a tun fd says when its device is gone. */
export const Errno = { ...constants.errno, EBADFD: 77, ENOTUNIQ: 76 } as const;

/** Remedy for what the kernel refuses to a process without the capability. */
export const NEEDS_NET_ADMIN = 'this needs root or CAP_NET_ADMIN';

/** A system call that failed. `name` is the errno's name (`EBUSY`), so logs and tests can match on it. */
export class SysError extends Error {
  readonly call: string;
  readonly errno: number;
  readonly #doing: string;

  /** `doing` says in the operator's words what was tried, `remedy` what to do about it; both may be left out. */
  constructor(call: string, errno: number, doing: string = '', remedy: string = '') {
    const what = doing === '' ? call : `${doing}: ${call}`;
    super(`${what}: ${errnoText(errno)} (${errnoName(errno)})${remedy === '' ? '' : `; ${remedy}`}`);
    this.name = errnoName(errno);
    this.call = call;
    this.errno = errno;
    this.#doing = doing;
  }

  /** The same failure with a remedy that somebody found out afterwards. */
  withRemedy(remedy: string): SysError {
    return new SysError(this.call, this.errno, this.#doing, remedy);
  }
}

/** `EBUSY` for 16; `errno 12345` for a number that has no name. */
export function errnoName(errno: number): string {
  return extraNames.get(errno)?.[0] ?? getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/** A short English text for an errno. */
export function errnoText(errno: number): string {
  return extraNames.get(errno)?.[1] ?? getSystemErrorMap().get(-errno)?.[1] ?? 'unknown error';
}

/** Numbers that libuv's table lacks. */
const extraNames: ReadonlyMap<number, readonly [string, string]> = new Map([
  [Errno.ENOTUNIQ, ['ENOTUNIQ', 'name not unique on network']],
  [Errno.EBADFD, ['EBADFD', 'file descriptor in bad state']],
]);
