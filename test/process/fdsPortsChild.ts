/** The child of fdsPorts.test.ts: confined like a worker, reports what it reads from its tun queue and its socket. */
import { Arena } from '../../src/shared/sys/arena.ts';
import { FdWatcher } from '../../src/shared/sys/poll.ts';
import { confine, confinementFromEnvironment } from '../../src/shared/sys/privileges.ts';
import { SocketFamily } from '../../src/shared/tunnel/socketAddress.ts';
import { TunPort } from '../../src/worker/ports/tunPort.ts';
import { UdpPort } from '../../src/worker/ports/udpPort.ts';

const TunFd = 4;
const UdpFd = 5;

const arena = new Arena(8 << 20);
const tun = new TunPort(arena, { fd: TunFd, vnetHeader: true });
const udp = new UdpPort(arena, { fd: UdpFd, family: SocketFamily.Ipv4, batch: 16, offloads: true });
confine(confinementFromEnvironment(), 'worker');

process.send?.(`ready ${process.getuid?.()}`);

new FdWatcher(TunFd, readTun, fail);
new FdWatcher(UdpFd, readUdp, fail);

function readTun(): void {
  const count = tun.receive(16);
  for (let index = 0; index < count; index++) {
    process.send?.(`tun ${tun.lengths[index]}`);
  }
}

function readUdp(): void {
  const count = udp.receive();
  for (let index = 0; index < count; index++) {
    process.send?.(`udp ${udp.lengths[index]} ${arena.view.getUint32(udp.offsets[index] + 4)}`);
  }
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}
