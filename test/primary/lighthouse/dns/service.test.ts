/** The DNS service with its real process, on sockets of 127.0.0.1. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect } from 'chai';
import { encode } from 'dns-packet';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { until } from '../../../../src/primary/cli/demo/until.ts';
import { DnsService, type DnsSettings } from '../../../../src/primary/lighthouse/dns/service.ts';
import { ChildLaunch } from '../../../../src/primary/workers/childLaunch.ts';
import { ip } from '../../../support/addresses.ts';
import { boundaryOver, CollectingLog } from '../../../support/collectingLog.ts';
import { askUdp, QUIET, question } from '../../../support/dnsZone.ts';

const ON: DnsSettings = { isEnabled: true, host: '127.0.0.1', port: 0, log: QUIET };

describe('DNS service', function () {
  this.timeout(30_000);
  let log: CollectingLog;
  let service: DnsService;
  let launch: ChildLaunch;

  before(function () {
    if (process.getuid?.() !== 0) {
      console.log('      skipped: needs root to give the DNS process a user of its own');
      this.skip();
    }
    launch = new ChildLaunch(new CollectingLog());
  });
  after(() => launch?.close());
  beforeEach(() => {
    log = new CollectingLog();
    service = newService();
  });
  afterEach(() => service.close());

  function newService(): DnsService {
    return new DnsService({ certificateJson: () => null, ownAddresses: () => [] }, log, boundaryOver(log), launch);
  }

  const query = (name: string) => encode({ type: 'query', id: 3, ...question(name, 'A') });
  const answersFor = async (name: string): Promise<number> =>
    (await askUdp(service.port!, query(name))).answers!.length;

  it('opens, moves, closes and reports what fails', async () => {
    service.add('early', [ip('10.0.0.5')]);
    await service.apply(ON);
    const first = service.port!;
    service.add('four', [ip('10.0.0.9')]);
    await until('the name', async () => (await answersFor('four')) === 1);
    expect(await answersFor('early')).to.equal(0);
    await service.apply(ON);
    expect(service.port).to.equal(first);
    await service.apply({ ...ON, port: first });
    await until('the name', async () => (await answersFor('four')) === 1);
    await service.apply({ ...ON, host: '192.0.2.77' });
    expect(service.port).to.equal(null);
    await Promise.all([service.apply({ ...ON, isEnabled: false }), service.apply(ON)]);
    expect(await answersFor('four')).to.equal(0);
    const { pid } = service;
    await service.close();
    expect(service.port).to.equal(null);
    expect(() => process.kill(pid, 0)).to.throw('ESRCH');
    expect(log.texts.map((line) => line.split(';')[0])).to.deep.equal([
      'info DNS server is up',
      'info DNS server is up',
      'error DNS server could not be started',
      'info DNS server is up',
    ]);
  });

  it('takes another port in the place of one that is held', async () => {
    await service.apply(ON);
    const other = newService();
    await other.apply({ ...ON, port: service.port! });
    expect(other.port).to.equal(null);
    expect(log.lines.at(-1)?.fields['error']).to.match(/EADDRINUSE/);
    await other.close();
  });

  it('serves UDP when TCP is taken, and takes TCP when it is free at a reload', async () => {
    const holder = createServer();
    holder.listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    await service.apply({ ...ON, port });
    service.add('four', [ip('10.0.0.9')]);
    await until('the name', async () => (await answersFor('four')) === 1);
    expect(log.texts).to.have.length(2);
    expect(log.texts[1]).to.match(/^warn DNS server answers over UDP only/);
    holder.close();
    await once(holder, 'close');
    await service.apply({ ...ON, port });
    await until('the name', async () => (await answersFor('four')) === 1);
    expect(await answersOverTcp('four')).to.equal(true);
    expect(log.texts).to.have.length(3);
  });

  it('starts the process again when it dies, with all that it knew; sockets stay, and counts', async () => {
    await service.apply(ON);
    service.add('four', [ip('10.0.0.9')]);
    await until('the name', async () => (await answersFor('four')) === 1);
    const counted = service.counts.get('dns.queries')!;
    const { pid, port } = service;
    process.kill(pid, 'SIGKILL');
    // The kernel keeps the question for the successor: the socket is the primary's.
    await until('another process', () => service.pid !== pid && service.pid !== 0);
    await until('the name', async () => (await answersFor('four')) === 1);
    expect(service.port).to.equal(port);
    expect(service.counts.get('dns.queries')).to.be.greaterThan(counted);
    expect(service.counts.get('dns.restarts')).to.equal(1);
    expect(log.texts.at(-1)).to.match(/DNS process died/);
  });

  it('replaces a process that stands still', async () => {
    await service.apply(ON);
    service.add('four', [ip('10.0.0.9')]);
    await until('the name', async () => (await answersFor('four')) === 1);
    const { pid } = service;
    process.kill(pid, 'SIGSTOP');
    await until('another process', () => service.pid !== pid && service.pid !== 0);
    await until('the name', async () => (await answersFor('four')) === 1);
    expect(log.texts.slice(-2).map((line) => line.split(',')[0])).to.deep.equal([
      'error DNS process hangs',
      'error DNS process died',
    ]);
  });

  it('serves TCP on the same port', async () => {
    await service.apply(ON);
    expect(await answersOverTcp('four')).to.equal(true);
  });

  async function answersOverTcp(name: string): Promise<boolean> {
    const socket = connect(service.port!, '127.0.0.1');
    const bytes = query(name);
    socket.write(Buffer.concat([Buffer.of(0, bytes.length), bytes]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.length > 2;
  }
});
