/** The laboratory itself: what it builds works, and nothing of it outlives its run, however that run ends. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import { Lab, sweepLabs } from '../../src/primary/cli/demo/lab.ts';
import { namespaceNames } from '../../src/primary/cli/demo/namespaces.ts';
import { isRunning, type ProcessMark } from '../../src/primary/cli/demo/processTable.ts';
import { Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { ping, stream } from '../support/traffic.ts';

const LAB_PROGRAM = fileURLToPath(new URL('./labProgram.js', import.meta.url));

interface Announcement {
  readonly directory: string;
  readonly program: ProcessMark;
}

describe('lab', function () {
  this.timeout(60_000);
  before(function () {
    requireLab(this, 'iperf3', 'ping');
  });

  describe('networks', () => {
    let lab: Lab;
    beforeEach(() => {
      lab = new Lab('t');
    });
    afterEach(() => {
      lab.close();
    });

    it('joins two namespaces by a cable, with IPv4 and IPv6 usable at once', async () => {
      const [left, right] = [lab.namespace('left'), lab.namespace('right')];
      lab.cable(
        { namespace: left, addresses: ['192.0.2.1/24', 'fd86::1/64'] },
        { namespace: right, addresses: ['192.0.2.2/24', 'fd86::2/64'] },
      );
      expect((await ping(lab, left, '192.0.2.2', { count: 2 })).received).to.equal(2);
      expect((await ping(lab, left, 'fd86::2', { count: 2 })).received).to.equal(2);
      const tcp = await stream(lab, left, right, '192.0.2.2', { amount: 8_000_000 });
      // What iperf3's receiver has not read when the sender is done, it does not count.
      expect(tcp.bytes).to.be.greaterThan(0);
      const udp = await stream(lab, left, right, '192.0.2.2', { amount: 1000, udpBitsPerSecond: 10_000_000 });
      expect(udp.packets).to.be.at.least(1000);
    });

    it('joins three namespaces by a bridge', async () => {
      const ports = ['a', 'b', 'c'].map((label, index) => ({
        namespace: lab.namespace(label),
        addresses: [`192.0.2.${index + 1}/24`],
      }));
      lab.lan(ports);
      expect((await ping(lab, ports[0].namespace, '192.0.2.3')).received).to.equal(3);
      expect((await ping(lab, ports[1].namespace, '192.0.2.3')).received).to.equal(3);
    });

    it('shows a lost network as lost packets', async () => {
      const [left, right] = [lab.namespace('left'), lab.namespace('right')];
      lab.cable({ namespace: left, addresses: ['192.0.2.1/24'] }, { namespace: right, addresses: ['192.0.2.2/24'] });
      await lab.run(right, ['ip', 'link', 'set', 'cable0', 'down']);
      const result = await ping(lab, left, '192.0.2.2', { count: 1, patienceSeconds: 1 });
      expect(result).to.deep.include({ sent: 1, received: 0 });
    });
  });

  it('removes namespaces, programs and files when it is closed', () => {
    const lab = new Lab('t');
    const room = lab.namespace('room');
    const program = lab.start(room, ['sleep', '1000']);
    expect(namespaceNames()).to.include(room.name);
    lab.close();
    expect(namespaceNames()).not.to.include(room.name);
    expect(existsSync(lab.directory)).to.equal(false);
    return program.exited.then((status) => expect(status.signal).to.equal('SIGKILL'));
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`leaves nothing when its run is ended by ${signal}`, async () => {
      const { program, announcement } = await startLabProgram();
      program.signal(signal);
      expect((await program.exited).code).to.be.greaterThan(128);
      await expectGone(announcement);
    });
  }

  it('leaves nothing after the next sweep when its run is killed', async () => {
    const { program, announcement } = await startLabProgram();
    program.signal('SIGKILL');
    await program.exited;
    expect(namespacesOf(announcement)).to.have.length(1);
    expect(isRunning(announcement.program)).to.equal(true);
    sweepLabs();
    await expectGone(announcement);
  });

  it('is not swept while its run lives', async () => {
    const { program, announcement } = await startLabProgram();
    sweepLabs();
    expect(namespacesOf(announcement)).to.have.length(1);
    expect(isRunning(announcement.program)).to.equal(true);
    await program.stop();
    await expectGone(announcement);
  });
});

async function startLabProgram(): Promise<{ program: Program; announcement: Announcement }> {
  const program = new Program('lab program', [process.execPath, LAB_PROGRAM]);
  const line = await program.waitForLine(/^\{/);
  return { program, announcement: JSON.parse(line) as Announcement };
}

function namespacesOf(announcement: Announcement): string[] {
  const tag = basename(announcement.directory).split('-').slice(0, 3).join('-');
  return namespaceNames().filter((name) => name.startsWith(`${tag}-`));
}

async function expectGone(announcement: Announcement): Promise<void> {
  expect(namespacesOf(announcement)).to.deep.equal([]);
  expect(existsSync(announcement.directory)).to.equal(false);
  await until('the program in the lab to end', () => !isRunning(announcement.program));
}
