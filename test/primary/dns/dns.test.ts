import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { type DecodedPacket, decode, encode, type Packet, streamEncode } from 'dns-packet';
import { afterEach, describe, it } from 'mocha';
import { DnsAnswers } from '../../../src/primary/dns/answers.ts';
import { DnsServer } from '../../../src/primary/dns/server.ts';
import { DnsService } from '../../../src/primary/dns/service.ts';
import { Zone } from '../../../src/primary/dns/zone.ts';
import type { Logger } from '../../../src/shared/log/logger.ts';
import { ip } from '../../support/addresses.ts';

const longJson = JSON.stringify({ name: 'host', groups: 'x'.repeat(700) });

function answersOver(zone: Zone): DnsAnswers {
  return new DnsAnswers({
    zone,
    certificateJson: (address) =>
      address.text === '10.0.0.7' ? '{"name":"db"}' : address.text === 'fd42::7' ? longJson : null,
    ownAddresses: () => [ip('10.0.0.1')],
  });
}

function filledZone(): Zone {
  const zone = new Zone();
  zone.add('DB.Prod', [ip('10.0.0.7'), ip('10.0.0.8'), ip('fd42::7')]);
  zone.add('four', [ip('10.0.0.9')]);
  return zone;
}

function ask(
  query: Packet,
  client = '192.0.2.1',
  limit = 512,
): (DecodedPacket & { rcode: string; opcode: string }) | null {
  const answer = answersOver(filledZone()).answer(encode({ type: 'query', id: 7, ...query }), ip(client), limit);
  return answer === null ? null : (decode(Buffer.from(answer)) as DecodedPacket & { rcode: string; opcode: string });
}

const question = (name: string, type: string) => ({ questions: [{ name, type }] }) as Packet;

describe('primary/dns', () => {
  describe('answers', () => {
    it('has the first address of each family, whatever the case of the name', () => {
      const reply = ask({ ...question('dB.PROD', 'A'), flags: 0x100 })!;
      expect(reply).to.include({
        id: 7,
        type: 'response',
        rcode: 'NOERROR',
        flag_rd: true,
        flag_ra: false,
        flag_tc: false,
      });
      expect(reply.questions).to.deep.equal([{ name: 'dB.PROD', type: 'A', class: 'IN' }]);
      expect(reply.answers!.map((answer) => ({ ...answer }))).to.deep.equal([
        { name: 'dB.PROD', type: 'A', class: 'IN', ttl: 3600, flush: false, data: '10.0.0.7' },
      ]);
      expect(ask(question('db.prod', 'AAAA'))!.answers).to.deep.include({
        name: 'db.prod',
        type: 'AAAA',
        class: 'IN',
        ttl: 3600,
        flush: false,
        data: 'fd42::7',
      });
    });

    it('tells a name without that type from a name that does not exist', () => {
      const rcodeAndCount = (name: string, type: string) => {
        const reply = ask(question(name, type))!;
        return [reply.rcode, reply.answers!.length];
      };
      expect(rcodeAndCount('four', 'AAAA')).to.deep.equal(['NOERROR', 0]);
      expect(rcodeAndCount('unknown', 'A')).to.deep.equal(['NXDOMAIN', 0]);
      expect(rcodeAndCount('prod', 'A')).to.deep.equal(['NXDOMAIN', 0]);
      expect(rcodeAndCount('four', 'MX')).to.deep.equal(['NXDOMAIN', 0]);
      expect(rcodeAndCount('four', 'ANY')).to.deep.equal(['NXDOMAIN', 0]);
      expect(rcodeAndCount('', 'NS')).to.deep.equal(['NXDOMAIN', 0]);
    });

    it('answers every question of a query', () => {
      const questions = [
        { name: 'four', type: 'MX' as const },
        { name: 'four', type: 'A' as const },
        { name: 'db.prod', type: 'AAAA' as const },
      ];
      const reply = ask({ questions })!;
      expect(reply.rcode).to.equal('NOERROR');
      expect(reply.answers!.map((answer) => answer.type)).to.deep.equal(['A', 'AAAA']);
      expect(reply.questions).to.have.length(3);
    });

    it('shows certificates to this machine only', () => {
      const txt = (client: string, name = '10.0.0.7') => {
        const reply = ask(question(name, 'TXT'), client)!;
        const [answer] = reply.answers!;
        return [reply.rcode, answer?.type === 'TXT' ? Buffer.concat(answer.data as Buffer[]).toString() : null];
      };
      expect(txt('127.0.0.1')).to.deep.equal(['NOERROR', '{"name":"db"}']);
      expect(txt('127.9.9.9')).to.deep.equal(['NOERROR', '{"name":"db"}']);
      expect(txt('::1')).to.deep.equal(['NOERROR', '{"name":"db"}']);
      expect(txt('10.0.0.1')).to.deep.equal(['NOERROR', '{"name":"db"}']);
      expect(txt('10.0.0.7')).to.deep.equal(['NOERROR', null]);
      expect(txt('192.0.2.1')).to.deep.equal(['NOERROR', null]);
      expect(txt('127.0.0.1', '10.0.0.99')).to.deep.equal(['NOERROR', null]);
      expect(txt('127.0.0.1', 'db.prod')).to.deep.equal(['NOERROR', null]);
    });

    it('truncates what does not fit, and takes the size that the client names', () => {
      expect(ask(question('fd42::7', 'TXT'), '::1')).to.include({ flag_tc: true, rcode: 'NOERROR' });
      expect(ask(question('fd42::7', 'TXT'), '::1')!.answers).to.deep.equal([]);
      const options = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] };
      const wide = ask({ ...question('fd42::7', 'TXT'), additionals: [options] } as unknown as Packet, '::1')!;
      expect(wide.flag_tc).to.equal(false);
      expect(Buffer.concat((wide.answers![0] as { data: Buffer[] }).data).toString()).to.equal(longJson);
      expect(wide.additionals!.map((record) => record.type)).to.deep.equal(['OPT']);
      expect(ask(question('fd42::7', 'TXT'), '::1', 65535)!.answers).to.have.length(1);
    });

    it('gives an empty answer to other opcodes, and none to answers and noise', () => {
      const status = ask({ ...question('four', 'A'), flags: 2 << 11 })!;
      expect([status.opcode, status.rcode, status.answers!.length]).to.deep.equal(['STATUS', 'NOERROR', 0]);
      expect(ask({ type: 'response', ...question('four', 'A') })).to.equal(null);
      for (const noise of [[], [1], [0, 7, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c]]) {
        expect(answersOver(filledZone()).answer(Uint8Array.from(noise), ip('::1'), 512)).to.equal(null);
      }
    });

    it('forgets on demand, replaces a host that comes again, and needs a name', () => {
      const zone = filledZone();
      zone.add('four', [ip('fd42::9')]);
      expect(zone.lookup('FOUR.')).to.deep.equal({ v4: null, v6: ip('fd42::9') });
      zone.add('', [ip('10.0.0.5')]);
      expect(zone.size).to.equal(2);
      zone.clear();
      expect(zone.lookup('four')).to.equal(null);
    });
  });

  describe('server', () => {
    const servers: DnsServer[] = [];
    const open = async (host: string, port = 0): Promise<DnsServer> => {
      const server = await DnsServer.open({ host, port, answers: answersOver(filledZone()), onError: () => {} });
      servers.push(server);
      return server;
    };

    afterEach(async () => {
      await Promise.all(servers.splice(0).map((server) => server.close()));
    });

    it('answers over UDP, on IPv4 and on any address', async () => {
      for (const host of ['127.0.0.1', '', '[::]', '::']) {
        const server = await open(host);
        const reply = await askUdp(server.port, encode({ type: 'query', id: 3, ...question('four', 'A') }));
        expect(reply.answers![0], host).to.include({ name: 'four', data: '10.0.0.9' });
      }
    });

    it('answers over TCP, several questions on a connection, in pieces, with large answers', async () => {
      const server = await open('127.0.0.1');
      const socket = connect(server.port, '127.0.0.1');
      const queries = Buffer.concat([
        streamEncode({ type: 'query', id: 1, ...question('four', 'A') }),
        streamEncode({ type: 'query', id: 2, ...question('fd42::7', 'TXT') }),
      ]);
      socket.setNoDelay(true);
      let received: Buffer = Buffer.alloc(0);
      const replies: DecodedPacket[] = [];
      const done = new Promise<void>((resolve) => {
        socket.on('data', (chunk) => {
          received = Buffer.concat([received, chunk]);
          while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
            const end = 2 + received.readUInt16BE(0);
            replies.push(decode(received.subarray(2, end)));
            received = received.subarray(end);
          }
          if (replies.length === 2) {
            resolve();
          }
        });
      });
      await once(socket, 'connect');
      for (const byte of queries) {
        socket.write(Buffer.of(byte));
      }
      await done;
      socket.destroy();
      expect(replies.map((reply) => [reply.id, reply.answers!.length])).to.deep.equal([
        [1, 1],
        [2, 1],
      ]);
    });

    it('drops a TCP client that sends noise', async () => {
      const server = await open('127.0.0.1');
      const socket = connect(server.port, '127.0.0.1');
      socket.write(Buffer.from([0, 2, 1, 1]));
      await once(socket, 'close');
    });

    it('says why it cannot be opened', async () => {
      const server = await open('127.0.0.1');
      let error: NodeJS.ErrnoException | null = null;
      await open('127.0.0.1', server.port).catch((caught: NodeJS.ErrnoException) => {
        error = caught;
      });
      expect(error!.code).to.equal('EADDRINUSE');
    });
  });

  describe('service', () => {
    it('opens, moves, closes and reports what fails', async () => {
      const lines: string[] = [];
      const service = new DnsService(
        { certificateJson: () => null, ownAddresses: () => [] },
        collectingLog((level, message) => lines.push(`${level} ${message}`)),
      );
      service.add('early', [ip('10.0.0.5')]);
      await service.apply({ isEnabled: true, host: '127.0.0.1', port: 0 });
      const first = service.port!;
      service.add('four', [ip('10.0.0.9')]);
      const query = (name: string) => encode({ type: 'query', id: 3, ...question(name, 'A') });
      expect((await askUdp(first, query('four'))).answers).to.have.length(1);
      expect((await askUdp(first, query('early'))).answers).to.have.length(0);
      await service.apply({ isEnabled: true, host: '127.0.0.1', port: 0 });
      expect(service.port).to.equal(first);
      await service.apply({ isEnabled: true, host: '127.0.0.1', port: first });
      expect((await askUdp(first, query('four'))).answers).to.have.length(1);
      await service.apply({ isEnabled: true, host: '192.0.2.77', port: 0 });
      expect(service.port).to.equal(null);
      await Promise.all([
        service.apply({ isEnabled: false, host: '127.0.0.1', port: 0 }),
        service.apply({ isEnabled: true, host: '127.0.0.1', port: 0 }),
      ]);
      expect((await askUdp(service.port!, query('four'))).answers).to.have.length(0);
      await service.close();
      expect(service.port).to.equal(null);
      expect(lines.map((line) => line.split(';')[0])).to.deep.equal([
        'info DNS server is up',
        'info DNS server is up',
        'error DNS server could not be started',
        'info DNS server is up',
      ]);
    });
  });
});

async function askUdp(port: number, query: Uint8Array): Promise<DecodedPacket> {
  const socket = createSocket('udp4');
  try {
    socket.send(query, port, '127.0.0.1');
    const [reply] = (await once(socket, 'message')) as [Buffer];
    return decode(reply);
  } finally {
    socket.close();
  }
}

function collectingLog(note: (level: string, message: string) => void): Logger {
  const log = {
    trace: () => {},
    debug: () => {},
    info: (message: string) => note('info', message),
    warn: (message: string) => note('warn', message),
    error: (message: string) => note('error', message),
    log: note,
    isEnabled: () => true,
    child: () => log,
  };
  return log;
}
