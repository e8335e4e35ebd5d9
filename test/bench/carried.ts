/**
 * How many datagrams each node says that it has carried, beside what the load generator got: under overload the generator
 * loses on its own account, and its number says nothing about the nodes.
 *
 * weft tells by its counters. The others are told by their tun devices, whose packets are datagrams as long as the program
 * reads and writes them one by one.
 */
import type { MetricName } from '../../src/shared/memory/metrics.ts';
import { OVERLAY_DEVICE, type TestNode } from '../support/nodes.ts';
import { devicePackets } from '../support/procfs.ts';
import { WorkerMetrics } from '../support/workerMetrics.ts';

/** Counted since each node's start. */
export interface Carried {
  /** Taken from the client's device and sent. */
  readonly sent: number;
  /** Opened and written to the server's device. */
  readonly received: number;
}

export interface CarriedCounters {
  read(): Carried;
  close(): void;
}

export function countersOfNodes(client: TestNode, server: TestNode): CarriedCounters {
  return client.kind === 'weft' && server.kind === 'weft'
    ? countersOfWeft(client.program.pid, server.program.pid)
    : countersOfDevices([client.program.pid, OVERLAY_DEVICE], [server.program.pid, OVERLAY_DEVICE]);
}

/** A process in the device's namespace, and the device's name. */
type DeviceEnd = readonly [pid: number, device: string];

export function countersOfDevices(client: DeviceEnd, server: DeviceEnd): CarriedCounters {
  return {
    read: () => ({ sent: devicePackets(...client).sent, received: devicePackets(...server).received }),
    close: () => undefined,
  };
}

function countersOfWeft(client: number, server: number): CarriedCounters {
  const ends = [new WorkerMetrics(client), new WorkerMetrics(server)];
  const sum = (end: number, name: MetricName): number => ends[end].read(name).reduce((all, each) => all + each, 0);
  return {
    read: () => ({ sent: sum(0, 'messages.tx.message'), received: sum(1, 'tun.tx.packets') }),
    close: () => {
      for (const end of ends) {
        end.close();
      }
    },
  };
}
