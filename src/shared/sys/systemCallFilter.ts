/**
 * Which system calls a confined process may make, as a program for the kernel's seccomp filter. A pure function.
 *
 *   architecture is not ours, or a call of the x32 table ─► kill
 *   allowed                                              ─► the call is made
 *   allowed with certain arguments only                  ─► made, refused or killed
 *   the way to more power (exec, sockets, ids, mounts …)  ─► kill: no honest code of ours gets there
 *   newer than what is named here                        ─► ENOSYS: the C library takes the older call
 *   everything else (opening files first of all)         ─► EPERM: Node tries some and can do without
 *
 * A killed process ends with SIGSYS, which the log of the primary names. Order matters for speed only where a kernel has
 * no cache of verdicts (before 5.11), so what the data path uses comes first.
 */
import { Bpf, encodeBpf, type Instruction } from './bpf.ts';
import { type FilteredArchitecture, type SystemCall, systemCallNumber } from './systemCalls.ts';

/** `worker`: its descriptors and nothing else. `server`: also accepts connections on a socket that it was given. */
export type SandboxProfile = 'worker' | 'server';

/** The filter for this process; `pid` is the one that it may signal, its own. */
export function systemCallFilter(architecture: FilteredArchitecture, profile: SandboxProfile, pid: number): Uint8Array {
  const numbers = (calls: readonly SystemCall[]): number[] =>
    calls.flatMap((call) => systemCallNumber(call, architecture) ?? []);
  const conditional = Object.entries(conditionsFor(pid)) as [SystemCall, Conditional][];
  return encodeBpf([
    [Bpf.LoadWord, 0, 0, ARCHITECTURE_OFFSET],
    [Bpf.JumpIfEqual, 1, 0, AUDIT_ARCHITECTURE[architecture]],
    [Bpf.ReturnConstant, 0, 0, FilterAction.Kill],
    [Bpf.LoadWord, 0, 0, NUMBER_OFFSET],
    ...(architecture === 'x64' ? X32_KILLED : []),
    ...among(numbers(ALLOWED), FilterAction.Allow),
    ...among(numbers(profile === 'server' ? ALLOWED_TO_SERVERS : []), FilterAction.Allow),
    ...conditional.flatMap(([call, rule]) => conditionally(systemCallNumber(call, architecture), rule)),
    ...among(numbers(KILLED), FilterAction.Kill),
    [Bpf.JumpIfGreaterOrEqual, 0, 1, NEWER_FROM],
    [Bpf.ReturnConstant, 0, 0, FilterAction.NoSuchCall],
    [Bpf.ReturnConstant, 0, 0, FilterAction.Refuse],
  ]);
}

/**
 * The filter of the thread that forks confined children, which they inherit: everything but making an io_uring. libuv
 * makes one at its start where it can, and could not do without it when the real filter comes; and a ring's requests
 * pass by every filter.
 */
export function filterWithoutRings(architecture: FilteredArchitecture): Uint8Array {
  const number = systemCallNumber('io_uring_setup', architecture) ?? -1;
  return encodeBpf([
    [Bpf.LoadWord, 0, 0, ARCHITECTURE_OFFSET],
    [Bpf.JumpIfEqual, 0, 3, AUDIT_ARCHITECTURE[architecture]],
    [Bpf.LoadWord, 0, 0, NUMBER_OFFSET],
    [Bpf.JumpIfEqual, 0, 1, number],
    [Bpf.ReturnConstant, 0, 0, FilterAction.NoSuchCall],
    [Bpf.ReturnConstant, 0, 0, FilterAction.Allow],
  ]);
}

/** What the kernel does with the call (`linux/seccomp.h`); the low half is the errno. */
export const FilterAction = {
  Allow: 0x7fff0000,
  Refuse: 0x00050000 | 1,
  NoSuchCall: 0x00050000 | 38,
  Kill: 0x80000000,
} as const;

type FilterAction = (typeof FilterAction)[keyof typeof FilterAction];

/** `elf` machine number, 64 bits, little endian (`linux/audit.h`). */
export const AUDIT_ARCHITECTURE: Readonly<Record<FilteredArchitecture, number>> = {
  x64: 0xc000003e,
  arm64: 0xc00000b7,
};

/** One jump for each number to a common answer behind the last; falls through when it is none of them. */
function among(numbers: readonly number[], action: FilterAction): Instruction[] {
  if (numbers.length === 0) {
    return [];
  }
  const tests = numbers.map((number, index): Instruction => {
    const isLast = index === numbers.length - 1;
    return [Bpf.JumpIfEqual, numbers.length - 1 - index, isLast ? 1 : 0, number];
  });
  return [...tests, [Bpf.ReturnConstant, 0, 0, action]];
}

/** What has to hold of one argument; its low half unless both halves are asked for. */
type Condition =
  | { readonly argument: number; readonly isOneOf: readonly number[] }
  | { readonly argument: number; readonly hasBit: number }
  | { readonly argument: number; readonly hasNoneOf: number }
  | { readonly argument: number; readonly isNull: true };

interface Conditional {
  readonly allowedIf: readonly Condition[];
  readonly otherwise: FilterAction;
}

function conditionally(number: number | null, { allowedIf, otherwise }: Conditional): Instruction[] {
  if (number === null) {
    return [];
  }
  // From the last condition backwards: a failed one jumps over all that follow, to the second verdict.
  let body: Instruction[] = [
    [Bpf.ReturnConstant, 0, 0, FilterAction.Allow],
    [Bpf.ReturnConstant, 0, 0, otherwise],
  ];
  for (const condition of allowedIf.toReversed()) {
    body = [...conditionCode(condition, body.length - 1), ...body];
  }
  return [[Bpf.JumpIfEqual, 0, body.length, number], ...body];
}

/** Falls through when the condition holds, else lands `skip` instructions behind itself. */
function conditionCode(condition: Condition, skip: number): Instruction[] {
  const low = ARGUMENTS_OFFSET + condition.argument * ARGUMENT_BYTES;
  const load: Instruction = [Bpf.LoadWord, 0, 0, low];
  if ('isOneOf' in condition) {
    const last = condition.isOneOf.length - 1;
    return [
      load,
      ...condition.isOneOf.map(
        (value, index): Instruction => [Bpf.JumpIfEqual, last - index, index === last ? skip : 0, value],
      ),
    ];
  }
  if ('hasBit' in condition) {
    return [load, [Bpf.JumpIfAnyBit, 0, skip, condition.hasBit]];
  }
  if ('hasNoneOf' in condition) {
    return [load, [Bpf.JumpIfAnyBit, skip, 0, condition.hasNoneOf]];
  }
  return [
    load,
    [Bpf.JumpIfEqual, 0, skip + 2, 0],
    [Bpf.LoadWord, 0, 0, low + ARGUMENT_BYTES / 2],
    [Bpf.JumpIfEqual, 0, skip, 0],
  ];
}

/** struct seccomp_data: number 4, architecture 4, instruction pointer 8, six arguments of 8. Little endian here. */
const NUMBER_OFFSET = 0;
const ARCHITECTURE_OFFSET = 4;
const ARGUMENTS_OFFSET = 16;
const ARGUMENT_BYTES = 8;

/** Calls of the x32 table have this bit, and the architecture of x86-64. */
const X32_BIT = 0x40000000;
const X32_KILLED: readonly Instruction[] = [
  [Bpf.JumpIfGreaterOrEqual, 0, 1, X32_BIT],
  [Bpf.ReturnConstant, 0, 0, FilterAction.Kill],
];

/** From here on numbers are the same on all architectures and came after Linux 5.0. */
const NEWER_FROM = 424;

const ALLOWED: readonly SystemCall[] = [
  // The data path.
  ...(['recvmmsg', 'sendmmsg', 'writev', 'read', 'write', 'epoll_pwait', 'epoll_wait', 'futex', 'sendto'] as const),
  // Node's loop, its pipes and signals; the log.
  ...(['epoll_create1', 'epoll_ctl', 'epoll_pwait2', 'poll', 'ppoll', 'select', 'pselect6'] as const),
  ...(['readv', 'pread64', 'pwrite64', 'lseek', 'fstat', 'close', 'dup', 'dup3', 'pipe2', 'eventfd2'] as const),
  ...(['recvfrom', 'recvmsg', 'getsockname', 'getpeername', 'getsockopt', 'shutdown'] as const),
  ...(['rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'rt_sigpending', 'rt_sigtimedwait', 'sigaltstack'] as const),
  // koffi syncs standard output at the end of the process, and hangs when it may not.
  'fsync',
  // V8's memory, its compiler and its threads.
  ...(['madvise', 'mmap', 'munmap', 'mprotect', 'mremap', 'brk', 'mincore', 'msync', 'membarrier'] as const),
  ...(['pkey_mprotect', 'pkey_alloc', 'pkey_free'] as const),
  ...(['set_robust_list', 'get_robust_list', 'set_tid_address', 'rseq'] as const),
  ...(['sched_yield', 'sched_getaffinity', 'getcpu', 'restart_syscall', 'exit', 'exit_group'] as const),
  // What only reads.
  ...(['clock_gettime', 'clock_getres', 'gettimeofday', 'time', 'times', 'nanosleep', 'clock_nanosleep'] as const),
  ...(['getrandom', 'getrusage', 'sysinfo', 'uname', 'getpid', 'gettid', 'getppid'] as const),
  ...(['getuid', 'geteuid', 'getgid', 'getegid', 'getresuid', 'getresgid'] as const),
];

const ALLOWED_TO_SERVERS: readonly SystemCall[] = ['accept4', 'sendmsg', 'setsockopt'];

function conditionsFor(pid: number): { readonly [call in SystemCall]?: Conditional } {
  return {
    // A thread, yes; a process or a namespace, no. The C library tries clone3 first, which hides its flags.
    clone: {
      allowedIf: [
        { argument: 0, hasBit: CLONE_THREAD },
        { argument: 0, hasNoneOf: CLONE_NAMESPACES | CLONE_PTRACE },
      ],
      otherwise: FilterAction.Kill,
    },
    kill: { allowedIf: [{ argument: 0, isOneOf: [pid] }], otherwise: FilterAction.Kill },
    tgkill: { allowedIf: [{ argument: 0, isOneOf: [pid] }], otherwise: FilterAction.Kill },
    prctl: { allowedIf: [{ argument: 0, isOneOf: PRCTL_HARMLESS }], otherwise: FilterAction.Refuse },
    // Never TIOCSTI, which types into the terminal that the log goes to.
    ioctl: { allowedIf: [{ argument: 1, isOneOf: IOCTL_HARMLESS }], otherwise: FilterAction.Refuse },
    fcntl: { allowedIf: [{ argument: 1, isOneOf: FCNTL_HARMLESS }], otherwise: FilterAction.Refuse },
    // Reading its own limits.
    prlimit64: {
      allowedIf: [
        { argument: 0, isOneOf: [0] },
        { argument: 2, isNull: true },
      ],
      otherwise: FilterAction.Refuse,
    },
    // Of a descriptor, which is how libuv learns what standard output is.
    newfstatat: { allowedIf: [{ argument: 3, hasBit: AT_EMPTY_PATH }], otherwise: FilterAction.Refuse },
    statx: { allowedIf: [{ argument: 2, hasBit: AT_EMPTY_PATH }], otherwise: FilterAction.Refuse },
  };
}

const KILLED: readonly SystemCall[] = [
  ...(['execve', 'execveat', 'fork', 'vfork'] as const),
  ...(['ptrace', 'process_vm_readv', 'process_vm_writev', 'process_madvise', 'kcmp'] as const),
  ...(['pidfd_open', 'pidfd_getfd', 'pidfd_send_signal', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo'] as const),
  ...(['socket', 'socketpair', 'bind', 'connect', 'listen', 'accept'] as const),
  ...(['setuid', 'setgid', 'setreuid', 'setregid', 'setresuid', 'setresgid', 'setgroups'] as const),
  ...(['setfsuid', 'setfsgid', 'capset', 'unshare', 'setns', 'chroot', 'pivot_root'] as const),
  ...(['mount', 'umount2', 'move_mount', 'open_tree', 'mount_setattr'] as const),
  ...(['fsopen', 'fsconfig', 'fsmount', 'fspick', 'mknod', 'mknodat', 'open_by_handle_at'] as const),
  ...(['bpf', 'perf_event_open', 'userfaultfd', 'keyctl', 'add_key', 'request_key'] as const),
  ...(['io_uring_setup', 'io_uring_enter', 'io_uring_register'] as const),
  ...(['init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load', 'reboot'] as const),
  ...(['swapon', 'swapoff', 'acct', 'iopl', 'ioperm', 'sethostname', 'setdomainname'] as const),
  ...(['settimeofday', 'clock_settime', 'clock_adjtime', 'adjtimex'] as const),
];

const CLONE_THREAD = 0x10000;
const CLONE_PTRACE = 0x2000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACES = 0x20000 | 0x7e000000;
const AT_EMPTY_PATH = 0x1000;
/** PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (names for V8's memory). */
const PRCTL_HARMLESS = [2, 3, 15, 16, 0x53564d41];
/** TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. */
const IOCTL_HARMLESS = [0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];
/** F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. */
const FCNTL_HARMLESS = [1, 2, 3, 4, 1030];
