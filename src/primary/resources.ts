/**
 * Everything of the operating system that a node holds: tun queues, UDP sockets, shared memory. Opened all or none, in
 * the primary, which keeps its copies for as long as the node runs; closing them ends the device.
 */
import { lookup } from 'node:dns/promises';
import { type IpAddress, parseAddress } from '../shared/ip/address.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Capacities, SharedTables } from '../shared/memory/layout.ts';
import { Errno, keepNonBlocking, libc } from '../shared/sys/libc.ts';
import { openTunQueues, type TunQueues } from '../shared/sys/tun.ts';
import type { Config } from './config/config.ts';
import { unlessStopped } from './interruption.ts';
import { orWhoHasIt, tunHolders, udpHolders } from './machine/holders.ts';
import { attachSteering, openUdpSockets, type UdpRequest, type UdpSockets } from './machine/udpSocket.ts';
import { openNodeMemories } from './tables/nodeMemories.ts';
import { ChildLaunch } from './workers/childLaunch.ts';
import type { LentFds } from './workers/supervisor.ts';
import { WorkerChannel } from './workers/workerChannel.ts';

export interface Resources {
  /** null with `tun.disabled`. */
  readonly tun: TunQueues | null;
  readonly udp: UdpSockets;
  workerFds(worker: number): LentFds;
  /** Undoes what a dead worker may have done to its queue and socket: a read or a write of either never waits. */
  restore(worker: number): void;
  /** False: the kernel cannot keep workers from writing what only the primary may write. */
  readonly areFactsSealed: boolean;
  readonly tables: SharedTables;
  /** By worker. */
  readonly channels: readonly WorkerChannel[];
  /** For every process that reads what strangers send. */
  readonly launch: ChildLaunch;
  close(): void;
}

/** Throws SysError or Error with a remedy, or StartInterrupted; nothing is left open then. */
export async function openResources(config: Config, log: Logger, stop: AbortSignal): Promise<Resources> {
  const host = await unlessStopped(resolveHost(config.listen.host), stop);
  const launch = new ChildLaunch(log);
  const open: number[] = [];
  const channels: WorkerChannel[] = [];
  const close = (): void => {
    launch.close();
    for (const fd of open.splice(0)) {
      libc.close(fd);
    }
    for (const channel of channels.splice(0)) {
      channel.close();
    }
  };
  try {
    const { tun: tunConfig, routines } = config;
    const tun = tunConfig.disabled
      ? null
      : orWhoHasIt(
          Errno.EBUSY,
          'tun.dev',
          () => tunHolders(tunConfig.dev),
          () => openTunQueues({ name: tunConfig.dev, queues: routines, offloads: tunConfig.useOffloads }),
        );
    open.push(...(tun?.fds ?? []));
    const udp = openSockets(config, host);
    open.push(...udp.fds);
    attachSteering(udp.fds);
    const capacities: Capacities = {
      workers: routines,
      tunnels: config.tunnels.max,
      flows: config.firewall.conntrack.maxConnections,
      lighthouseHosts: config.lighthouse.amLighthouse ? config.lighthouse.maxHosts : 1,
    };
    const memories = openNodeMemories(capacities, (fd) => open.push(fd));
    for (let worker = 0; worker < routines; worker++) {
      channels.push(new WorkerChannel(capacities.tunnels));
    }
    return {
      tun,
      udp,
      workerFds: (worker) => ({
        tun: tun?.fds[worker] ?? null,
        udp: udp.fds[worker],
        memories: memories.fdsOf(worker),
      }),
      restore: (worker) => {
        for (const fd of [tun?.fds[worker] ?? [], udp.fds[worker]].flat()) {
          keepNonBlocking(fd);
        }
      },
      areFactsSealed: memories.areFactsSealed,
      tables: memories.tables,
      channels: [...channels],
      launch,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function openSockets({ listen, routines }: Config, host: IpAddress): UdpSockets {
  const request: UdpRequest = {
    host,
    port: listen.port,
    count: routines,
    readBuffer: listen.readBufferBytes,
    writeBuffer: listen.writeBufferBytes,
    soMark: listen.soMark,
  };
  return orWhoHasIt(
    Errno.EADDRINUSE,
    'listen.port',
    () => udpHolders(host, listen.port),
    () => openUdpSockets(request),
  );
}

/** `listen.host` as an address: a literal, or the first address of a name. */
async function resolveHost(host: string): Promise<IpAddress> {
  const literal = parseAddress(host);
  if (literal !== null) {
    return literal;
  }
  try {
    const found = await lookup(host);
    const address = parseAddress(found.address);
    if (address !== null) {
      return address;
    }
  } catch {
    // Reported below like any other host that is none.
  }
  throw new Error(`listen.host: ${host} is neither an address nor a name that resolves; use 0.0.0.0 or [::]`);
}
