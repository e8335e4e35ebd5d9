/**
 * A program that answers on TCP and UDP ports by sending back what it gets. Its argument is a JSON object of type
 * `ServerPlan`; it prints `ready` when it listens on all of them. `firewallProbe.ts` starts it inside a namespace.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { ServerPlan } from './firewallProbe.ts';

const { host, tcp, udp } = JSON.parse(process.argv[2]) as ServerPlan;
for (const port of tcp) {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await once(server.listen(port, host), 'listening');
}
for (const port of udp) {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => undefined);
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(port, host);
  await once(socket, 'listening');
}
console.log('ready');
