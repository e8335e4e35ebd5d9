import { expect } from 'chai';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import { describe, it } from 'mocha';
import { DnsAnswers, type Transport } from '../../src/dns/answers.ts';
import { ip } from '../support/addresses.ts';
import { filledZone, longCertificate, question } from '../support/dnsZone.ts';
import { Random } from '../support/random.ts';

function ask(
  query: Packet,
  client = '192.0.2.1',
  transport: Transport = 'udp',
): (DecodedPacket & { rcode: string; opcode: string }) | null {
  const answer = new DnsAnswers(filledZone()).answer(encode({ type: 'query', id: 7, ...query }), ip(client), transport);
  return answer === null ? null : (decode(Buffer.from(answer)) as DecodedPacket & { rcode: string; opcode: string });
}

describe('answers of the DNS process', () => {
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
    for (const type of ['MX', 'SRV', 'CAA', 'NS', 'SOA', 'TXT', 'ANY', 'CNAME', 'DS', 'UNKNOWN_65']) {
      expect(rcodeAndCount('FOUR', type), type).to.deep.equal(['NOERROR', 0]);
      expect(rcodeAndCount('unknown', type), type).to.deep.equal(['NXDOMAIN', 0]);
      expect(rcodeAndCount('www.four', type), type).to.deep.equal(['NXDOMAIN', 0]);
      // A resolver that hears NXDOMAIN here does not ask for `db.prod` any more.
      expect(rcodeAndCount('prod', type), type).to.deep.equal(['NOERROR', 0]);
    }
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
    expect(txt('127.0.0.1', '10.0.0.99')).to.deep.equal(['NXDOMAIN', null]);
    expect(txt('192.0.2.1', '10.0.0.99'), 'nothing is told').to.deep.equal(['NOERROR', null]);
    expect(txt('127.0.0.1', 'db.prod')).to.deep.equal(['NOERROR', null]);
  });

  it('answers a datagram with at most three times its length, and truncates what does not fit', () => {
    const cut = ask(question('fd42::7', 'TXT'), '::1')!;
    expect(cut).to.include({ flag_tc: true, rcode: 'NOERROR' });
    expect(cut.answers).to.deep.equal([]);
    const options = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] };
    const wide = { ...question('fd42::7', 'TXT'), additionals: [options] } as unknown as Packet;
    expect(ask(wide, '::1')!.flag_tc).to.equal(true);
    const whole = ask(wide, '::1', 'tcp')!;
    expect(whole.flag_tc).to.equal(false);
    expect(Buffer.concat((whole.answers![0] as { data: Buffer[] }).data).toString()).to.equal(longCertificate);
    expect(whole.additionals!.map((record) => record.type)).to.deep.equal(['OPT']);
  });

  it('never makes more of a datagram than that, whatever is in it', () => {
    const random = new Random(20_26);
    const answers = new DnsAnswers(filledZone());
    const names = ['four', 'db.prod', '10.0.0.7', 'fd42::7', '.', 'x'.repeat(60)];
    let answered = 0;
    for (let round = 0; round < 20_000; round++) {
      const types = ['A', 'AAAA', 'TXT', 'MX', 'ANY'];
      const questions = Array.from({ length: 1 + random.below(10) }, () => ({
        name: names[random.below(names.length)],
        type: types[random.below(types.length)],
      }));
      const additionals =
        random.below(2) === 0 ? [] : [{ type: 'OPT', name: '.', udpPayloadSize: random.below(65_536) }];
      const query = encode({ type: 'query', id: round & 0xffff, questions, additionals } as unknown as Packet);
      for (let change = random.below(4); change > 0; change--) {
        query[random.below(query.length)] = random.below(256);
      }
      // A name far into the packet, named again and again by pointers, grows when it is written out.
      const sent =
        random.below(4) === 0 ? compressed(random.below(200)) : query.subarray(0, 1 + random.below(query.length * 2));
      const answer = answers.answer(sent, ip('127.0.0.1'), 'udp');
      answered += answer === null ? 0 : 1;
      expect(answer?.length ?? 0).to.be.at.most(sent.length * 3);
    }
    expect(answered).to.be.greaterThan(1_000);
  });

  it('gives an empty answer to other opcodes, and none to answers and noise', () => {
    const status = ask({ ...question('four', 'A'), flags: 2 << 11 })!;
    expect([status.opcode, status.rcode, status.answers!.length]).to.deep.equal(['STATUS', 'NOERROR', 0]);
    expect(ask({ type: 'response', ...question('four', 'A') })).to.equal(null);
    for (const noise of [[], [1], [0, 7, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c]]) {
      expect(new DnsAnswers(filledZone()).answer(Uint8Array.from(noise), ip('::1'), 'udp')).to.equal(null);
    }
  });

  it('takes a host that comes again with other addresses, and forgets certificates', () => {
    const zone = filledZone();
    zone.apply({ kind: 'name', name: 'FOUR', v4: null, v6: 'fd42::9' });
    expect(zone.lookup('four.')).to.deep.equal({ v4: null, v6: 'fd42::9' });
    expect(zone.size).to.equal(2);
    zone.apply({ kind: 'certificate', address: '10.0.0.7', json: null });
    expect(zone.certificate('10.0.0.7')).to.equal(null);
  });
});

/** `count` questions, all but the first with a pointer to the first one's long name. */
function compressed(count: number): Uint8Array {
  const first = encode({ type: 'query', questions: [{ name: `${'y'.repeat(60)}.${'z'.repeat(60)}`, type: 'A' }] });
  const pointers = Array.from({ length: count }, () => [0xc0, 12, 0, 1, 0, 1]).flat();
  const packet = Buffer.concat([first, Uint8Array.from(pointers)]);
  packet.writeUInt16BE(count + 1, 4);
  return packet;
}
