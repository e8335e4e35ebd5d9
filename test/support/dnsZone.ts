/** A zone with two hosts and two certificates, one of which fits no datagram, and questions about it. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type DecodedPacket, decode, type Packet } from 'dns-packet';
import { Zone } from '../../src/dns/zone.ts';
import type { LogSettings } from '../../src/shared/log/logger.ts';

export const longCertificate: string = JSON.stringify({ name: 'host', groups: 'x'.repeat(700) });

export const QUIET: LogSettings = { level: 'error', format: 'text', disableTimestamp: true };

/** `DB.Prod` and `four`; this node is 10.0.0.1. */
export function filledZone(): Zone {
  const zone = new Zone();
  zone.apply({ kind: 'settings', ownAddresses: ['10.0.0.1'], log: QUIET });
  zone.apply({ kind: 'name', name: 'DB.Prod', v4: '10.0.0.7', v6: 'fd42::7' });
  zone.apply({ kind: 'name', name: 'four', v4: '10.0.0.9', v6: null });
  zone.apply({ kind: 'certificate', address: '10.0.0.7', json: '{"name":"db"}' });
  zone.apply({ kind: 'certificate', address: 'fd42::7', json: longCertificate });
  return zone;
}

export function question(name: string, type: string): Packet {
  return { questions: [{ name, type }] } as Packet;
}

/** Sends one query to a port of 127.0.0.1 and gives its answer. */
export async function askUdp(port: number, query: Uint8Array): Promise<DecodedPacket> {
  const socket = createSocket('udp4');
  try {
    socket.send(query, port, '127.0.0.1');
    const [reply] = (await once(socket, 'message')) as [Buffer];
    return decode(reply);
  } finally {
    socket.close();
  }
}
