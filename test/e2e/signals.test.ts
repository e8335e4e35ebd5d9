/** What a node does when it is told to end or to read its configuration again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { OVERLAY_DEVICE } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { childPids, udpPorts } from '../support/procfs.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { StallWatch } from './stalls.ts';

describe('signals', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  beforeEach(async () => {
    // Without checks the right node learns of the end of a tunnel from the left one only.
    const config = { timers: { connection_alive_interval: 3600 } };
    pair = new Pair({ left: { routines: 2 }, right: { routines: 2, config } });
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
  });
  afterEach(() => {
    pair.close();
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal}: exit code 0, nothing left, and the peer knows at once`, async () => {
      const { left, right } = pair;
      const mark = right.lines.length;
      const workers = left.workerPids();
      left.program.signal(signal);
      expect(await left.program.exited).to.deep.equal({ code: 0, signal: null });
      // A peer that still held the tunnel would send the pings into it; one that knows of the end shakes hands anew.
      await until('a new handshake', async () => {
        expect((await ping(pair.lab, right.namespace, LEFT, { count: 1, patienceSeconds: 1 })).received).to.equal(0);
        return right.lines.slice(mark).some((line) => line.includes('Handshake message sent'));
      });
      expect(await left.hasDevice(), 'device').to.equal(false);
      expect(workers.flatMap(childPids), 'children of workers').to.deep.equal([]);
      await left.start();
      await untilReachable(pair.lab, left.namespace, RIGHT);
    });
  }

  it('SIGTERM while a peer is unreachable still ends within seconds', async () => {
    pair.right.program.signal('SIGKILL');
    await pair.right.program.exited;
    const stalls = new StallWatch();
    const startMs = performance.now();
    pair.left.program.signal('SIGTERM');
    expect((await pair.left.program.exited).code).to.equal(0);
    expect(performance.now() - startMs - stalls.since(startMs)).to.be.lessThan(5_000);
    stalls.stop();
  });

  const faults: readonly { readonly title: string; readonly text: (good: string) => string; readonly names: RegExp }[] =
    [
      { title: 'not YAML', text: () => 'pki: [unclosed', names: /left\.yml/ },
      {
        title: 'a value of the wrong type',
        text: (good) => JSON.stringify({ ...JSON.parse(good), routines: 'many' }),
        names: /routines/,
      },
      {
        title: 'a certificate that is not there',
        text: (good) => good.replaceAll('left.crt', 'nowhere.crt'),
        names: /nowhere\.crt/,
      },
    ];
  for (const { title, text, names } of faults) {
    it(`SIGHUP with a faulty file (${title}) changes nothing and says why`, async () => {
      const { lab, left, right } = pair;
      const good = readFileSync(left.configPath, 'utf8');
      const [mark, pids, ports] = [left.lines.length, left.allPids(), udpPorts(left.program.pid)];
      writeFileSync(left.configPath, text(good));
      left.program.signal('SIGHUP');
      await left.program.waitForLine(names, 20_000, mark);
      expect((await ping(lab, right.namespace, LEFT)).received).to.equal(3);
      expect(left.allPids()).to.deep.equal(pids);
      expect(udpPorts(left.program.pid)).to.deep.equal(ports);
      expect(left.handshakes(mark)).to.equal(0);
    });
  }

  it('SIGHUP applies logging.level without touching a tunnel', async () => {
    const { lab, left, right } = pair;
    const mark = left.lines.length;
    left.writeConfig({ logging: { level: 'debug' } });
    left.program.signal('SIGHUP');
    await left.program.waitForLine(/logging\.level/, 20_000, mark);
    // The repeated attempts to reach nobody are told at level debug only.
    const pinging = ping(lab, left.namespace, '10.86.0.77', { count: 1, patienceSeconds: 1 });
    await left.program.waitForLine(/\blevel=debug/i, 20_000, mark);
    await pinging;
    expect((await ping(lab, right.namespace, LEFT)).received).to.equal(3);
    expect(left.handshakes(mark)).to.equal(0);
  });

  it('SIGHUP renews the certificate: a new handshake within seconds, and no packet is lost', async () => {
    const { lab, pki, left, right } = pair;
    const mark = right.lines.length;
    left.writeConfig({ pki: pki.sign('left-renewed', `${LEFT}/24`, { groups: ['renewed'] }) });
    left.program.signal('SIGHUP');
    const pinging = ping(lab, left.namespace, RIGHT, { count: 500, intervalMs: 20 });
    await right.program.waitForLine(/Handshake message received.*left-renewed/, 15_000, mark);
    const { sent, received } = await pinging;
    expect(received).to.equal(sent);
  });

  it('SIGHUP that comes while the device is down is applied, and its routes when it is up again', async () => {
    const { lab, left, right } = pair;
    const pids = left.allPids();
    const link = async (state: string): Promise<void> => {
      expect((await lab.run(left.namespace, ['ip', 'link', 'set', OVERLAY_DEVICE, state])).code).to.equal(0);
    };
    const mark = left.lines.length;
    left.writeConfig({ tun: { mtu: 1280 } });
    await link('down');
    left.program.signal('SIGHUP');
    await left.program.waitForLine(/Configuration reloaded.*tun\.mtu/, 20_000, mark);
    await link('up');
    await untilReachable(lab, right.namespace, LEFT);
    expect(left.allPids()).to.deep.equal(pids);
  });

  it('SIGHUP names a changed key that needs a restart', async () => {
    const { left } = pair;
    const mark = left.lines.length;
    left.writeConfig({ tun: { dev: 'another0' } });
    left.program.signal('SIGHUP');
    await left.program.waitForLine(/tun\.dev/, 20_000, mark);
    expect(await left.hasDevice()).to.equal(true);
  });

  it('SIGHUP learns a new static host', async () => {
    const { lab, left, right } = pair;
    await left.restart({ staticHosts: {} });
    await right.restart({ staticHosts: {} });
    expect((await ping(lab, left.namespace, RIGHT, { count: 1, patienceSeconds: 1 })).received).to.equal(0);
    left.writeConfig({ static_host_map: { [RIGHT]: ['192.0.2.2:4242'] } });
    left.program.signal('SIGHUP');
    await untilReachable(lab, left.namespace, RIGHT);
    await until('the handshake to stand in the log', () => left.handshakes() > 0);
  });
});
