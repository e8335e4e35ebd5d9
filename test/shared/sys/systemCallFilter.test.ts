import { expect } from 'chai';
import { describe, it } from 'mocha';
import { BPF_INSTRUCTION_BYTES } from '../../../src/shared/sys/bpf.ts';
import {
  AUDIT_ARCHITECTURE,
  FilterAction,
  filterWithoutRings,
  type SandboxProfile,
  systemCallFilter,
} from '../../../src/shared/sys/systemCallFilter.ts';
import {
  FILTERED_ARCHITECTURES,
  type FilteredArchitecture,
  SYSTEM_CALLS,
  type SystemCall,
  systemCallNumber,
} from '../../../src/shared/sys/systemCalls.ts';
import { runBpf } from '../../support/bpf.ts';

const OWN_PID = 4711;
/** Both halves of an argument: what a filter that looks at one of them only would let through. */
type Argument = number | { readonly low: number; readonly high: number };

/** struct seccomp_data. */
function callData(number: number, architecture: number, values: readonly Argument[]): Uint8Array {
  const data = new Uint8Array(64);
  const view = new DataView(data.buffer);
  view.setUint32(0, number, true);
  view.setUint32(4, architecture, true);
  for (const [index, value] of values.entries()) {
    const { low, high } = typeof value === 'number' ? { low: value, high: 0 } : value;
    view.setUint32(16 + index * 8, low, true);
    view.setUint32(20 + index * 8, high, true);
  }
  return data;
}

for (const architecture of FILTERED_ARCHITECTURES) {
  describe(`systemCallFilter on ${architecture}`, () => {
    const programs = {
      worker: systemCallFilter(architecture, 'worker', OWN_PID),
      server: systemCallFilter(architecture, 'server', OWN_PID),
    };

    function verdict(call: SystemCall | number, values: readonly Argument[] = [], profile: SandboxProfile = 'worker') {
      const number = typeof call === 'number' ? call : numberOf(call, architecture);
      return runBpf(programs[profile], callData(number, AUDIT_ARCHITECTURE[architecture], values), true);
    }

    it('lets the data path, the collector, timers and the log work', () => {
      const calls = [
        ...(['recvmmsg', 'sendmmsg', 'writev', 'read', 'write', 'sendto', 'epoll_pwait', 'epoll_ctl'] as const),
        ...(['futex', 'mmap', 'munmap', 'mprotect', 'madvise', 'clock_gettime', 'getrandom', 'exit_group'] as const),
      ];
      for (const call of calls) {
        expect(verdict(call), call).to.equal(FilterAction.Allow);
      }
    });

    it('kills whoever tries to become more', () => {
      const calls = [
        ...(['execve', 'execveat', 'ptrace', 'process_vm_readv', 'process_vm_writev', 'socket', 'bind'] as const),
        ...(['connect', 'listen', 'mount', 'umount2', 'setuid', 'setresuid', 'setgroups', 'capset'] as const),
        ...(['unshare', 'setns', 'bpf', 'keyctl', 'io_uring_setup', 'io_uring_enter', 'pidfd_getfd'] as const),
        ...(['init_module', 'finit_module', 'kexec_load', 'open_by_handle_at', 'perf_event_open'] as const),
      ];
      for (const call of calls) {
        expect(verdict(call), call).to.equal(FilterAction.Kill);
        expect(verdict(call, [], 'server'), call).to.equal(FilterAction.Kill);
      }
    });

    it('refuses files, and says of newer calls that there are none', () => {
      const openat = architecture === 'x64' ? 257 : 56;
      const unlinkat = architecture === 'x64' ? 263 : 35;
      expect(verdict(openat), 'openat').to.equal(FilterAction.Refuse);
      expect(verdict(unlinkat), 'unlinkat').to.equal(FilterAction.Refuse);
      expect(verdict('seccomp')).to.equal(FilterAction.Refuse);
      for (const [call, number] of Object.entries({ clone3: 435, openat2: 437, unknown: 999 })) {
        expect(verdict(number), call).to.equal(FilterAction.NoSuchCall);
      }
    });

    it('lets a server take connections, a worker not', () => {
      for (const call of ['accept4', 'sendmsg', 'setsockopt'] as const) {
        expect(verdict(call, [], 'server'), call).to.equal(FilterAction.Allow);
        expect(verdict(call), call).to.equal(FilterAction.Refuse);
      }
    });

    it('makes threads, but no process and no namespace', () => {
      const thread = 0x3d0f00;
      expect(verdict('clone', [thread])).to.equal(FilterAction.Allow);
      expect(verdict('clone', [17]), 'fork').to.equal(FilterAction.Kill);
      for (const namespace of [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]) {
        expect(verdict('clone', [thread | namespace]), namespace.toString(16)).to.equal(FilterAction.Kill);
      }
    });

    it('signals itself only', () => {
      for (const call of ['kill', 'tgkill'] as const) {
        expect(verdict(call, [OWN_PID, 6]), call).to.equal(FilterAction.Allow);
        for (const other of [1, 0, 0xffffffff, OWN_PID + 1]) {
          expect(verdict(call, [other, 9]), `${call} ${other}`).to.equal(FilterAction.Kill);
        }
      }
    });

    it('looks at the argument where a call can do good and harm', () => {
      const cases: readonly (readonly [SystemCall, readonly Argument[], number])[] = [
        ['prctl', [15], FilterAction.Allow],
        ['prctl', [4, 1], FilterAction.Refuse],
        ['prctl', [1, 0], FilterAction.Refuse],
        ['ioctl', [1, 0x5401], FilterAction.Allow],
        ['ioctl', [1, 0x5412], FilterAction.Refuse],
        ['ioctl', [4, 0x400454ca], FilterAction.Refuse],
        ['fcntl', [3, 3], FilterAction.Allow],
        ['fcntl', [3, 1030], FilterAction.Allow],
        ['fcntl', [6, 1033], FilterAction.Refuse],
        ['prlimit64', [0, 4, 0], FilterAction.Allow],
        ['prlimit64', [0, 4, 0x1000], FilterAction.Refuse],
        ['prlimit64', [0, 4, { low: 0, high: 0x7fff }], FilterAction.Refuse],
        ['prlimit64', [1, 4, 0], FilterAction.Refuse],
        ['newfstatat', [1, 0, 0, 0x1000], FilterAction.Allow],
        ['newfstatat', [0xffffff9c, 0, 0, 0], FilterAction.Refuse],
        ['statx', [1, 0, 0x1000], FilterAction.Allow],
        ['statx', [0xffffff9c, 0, 0x100], FilterAction.Refuse],
      ];
      for (const [call, values, expected] of cases) {
        expect(verdict(call, values), `${call} ${JSON.stringify(values)}`).to.equal(expected);
      }
    });

    it('kills calls of another architecture and of the x32 table', () => {
      const read = numberOf('read', architecture);
      for (const foreign of [0x40000003, ...otherArchitectures(architecture)]) {
        expect(runBpf(programs.worker, callData(read, foreign, []), true)).to.equal(FilterAction.Kill);
      }
      expect(verdict(0x40000000 + read)).to.equal(architecture === 'x64' ? FilterAction.Kill : FilterAction.NoSuchCall);
    });

    it('has a verdict for every number, and fits what the kernel takes', () => {
      const known = new Set<number>(Object.values(FilterAction));
      for (let number = 0; number < 1024; number++) {
        for (const profile of ['worker', 'server'] as const) {
          expect(known.has(verdict(number, [], profile) >>> 0), `${number}`).to.equal(true);
        }
      }
      expect(programs.server.length / BPF_INSTRUCTION_BYTES).to.be.below(400);
    });
  });

  describe(`filterWithoutRings on ${architecture}`, () => {
    it('refuses to make a ring and nothing else', () => {
      const program = filterWithoutRings(architecture);
      const verdictOf = (number: number, machine: number = AUDIT_ARCHITECTURE[architecture]): number =>
        runBpf(program, callData(number, machine, []), true);
      expect(verdictOf(425)).to.equal(FilterAction.NoSuchCall);
      for (const number of [0, 59, 221, 424, 426, 427]) {
        expect(verdictOf(number), `${number}`).to.equal(FilterAction.Allow);
      }
      expect(verdictOf(425, 0x40000003), 'another table of numbers').to.equal(FilterAction.Allow);
    });
  });
}

describe('SYSTEM_CALLS', () => {
  it('has each number once in each architecture', () => {
    for (const architecture of FILTERED_ARCHITECTURES) {
      const numbers = (Object.keys(SYSTEM_CALLS) as SystemCall[]).flatMap(
        (call) => systemCallNumber(call, architecture) ?? [],
      );
      expect(new Set(numbers).size).to.equal(numbers.length);
    }
  });
});

function numberOf(call: SystemCall, architecture: FilteredArchitecture): number {
  const number = systemCallNumber(call, architecture);
  if (number === null) {
    throw new Error(`${call} is no call of ${architecture}`);
  }
  return number;
}

function otherArchitectures(architecture: FilteredArchitecture): number[] {
  return FILTERED_ARCHITECTURES.filter((other) => other !== architecture).map((other) => AUDIT_ARCHITECTURE[other]);
}
