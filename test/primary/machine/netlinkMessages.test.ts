import { expect } from 'chai';
import { describe, it } from 'mocha';
import { splitMessages } from '../../../src/primary/machine/netlinkBytes.ts';
import {
  addAddressRequest,
  dumpRequest,
  NetlinkType,
  parseAddressMessage,
  parseError,
  parseLink,
  setLinkRequest,
} from '../../../src/primary/machine/netlinkMessages.ts';
import { readChange } from '../../../src/primary/machine/netlinkMonitor.ts';
import {
  addRouteRequest,
  deleteRouteRequest,
  parseRoute,
  parseRouteLookup,
  routeLookupRequest,
} from '../../../src/primary/machine/netlinkRoutes.ts';
import { ip, net } from '../../support/addresses.ts';
import { Random } from '../../support/random.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

/** A message with a payload. */
function message(type: number, payload: string, sequence = 1): Uint8Array {
  const body = bytes(payload);
  const result = Buffer.alloc(16 + body.length);
  result.writeUInt32LE(result.length, 0);
  result.writeUInt16LE(type, 4);
  result.writeUInt32LE(sequence, 8);
  result.set(body, 16);
  return new Uint8Array(result);
}

describe('netlink requests', () => {
  it('sets what is given of a link, and only that', () => {
    expect(hex(setLinkRequest(7, 3, { isUp: true, mtu: 1300, txQueueLength: 500 }))).to.equal(
      '30000000' +
        '1300' +
        '0500' +
        '07000000' +
        '00000000' + // header: set link, request + ack
        '00000000' +
        '03000000' +
        '01000000' +
        '01000000' + // link 3: flag up, of which up counts
        '08000400' +
        '14050000' +
        '08000d00' +
        'f4010000',
    );
    expect(hex(setLinkRequest(1, 3, { noIpv6LinkLocal: true })).slice(64)).to.equal(
      '10001a00' + '0c000a00' + '05000800' + '01000000',
    );
    expect(hex(setLinkRequest(1, 3, { isUp: false })).slice(48)).to.equal('0000000001000000');
  });

  it('adds addresses: IPv4 as it is, IPv6 without duplicate detection', () => {
    expect(hex(addAddressRequest(1, { linkIndex: 5, prefix: net('10.1.2.3/16') }))).to.equal(
      '28000000' +
        '1400' +
        '0505' +
        '01000000' +
        '00000000' +
        '02100000' +
        '05000000' +
        '08000200' +
        '0a010203' +
        '08000100' +
        '0a010203',
    );
    expect(hex(addAddressRequest(1, { linkIndex: 5, prefix: net('fd00::1/64') })).slice(32, 48)).to.equal(
      '0a400200' + '05000000',
    );
  });

  it('adds a connected route with its own MTU', () => {
    const route = {
      destination: net('10.1.0.0/16'),
      linkIndex: 5,
      source: ip('10.1.2.3'),
      mtu: 1300,
      advmss: 1260,
      isConnected: true,
    };
    expect(hex(addRouteRequest(2, route, true))).to.equal(
      '48000000' +
        '1800' +
        '0505' +
        '02000000' +
        '00000000' +
        '02100000' +
        'fe02fd01' +
        '00000000' +
        '08000100' +
        '0a010000' +
        '08000400' +
        '05000000' +
        '08000700' +
        '0a010203' +
        '14000800' +
        '08000200' +
        '14050000' +
        '08000800' +
        'ec040000',
    );
    // A deletion matches any protocol, scope, source and MTU.
    expect(hex(deleteRouteRequest(2, { ...route, metric: 9 }))).to.equal(
      '34000000' +
        '1900' +
        '0500' +
        '02000000' +
        '00000000' +
        '02100000' +
        'fe00ff01' +
        '00000000' +
        '08000100' +
        '0a010000' +
        '08000400' +
        '05000000' +
        '08000600' +
        '09000000',
    );
  });

  it('reads back the routes that it writes', () => {
    for (const route of [
      { destination: net('10.1.0.0/16'), linkIndex: 5 },
      { destination: net('fd00::/8'), linkIndex: 70_000, metric: 256, mtu: 1280 },
      { destination: net('0.0.0.0/0'), linkIndex: 2, gateway: ip('10.0.0.1'), metric: 1 },
      {
        destination: net('10.0.0.0/8'),
        linkIndex: 2,
        isConnected: true,
        source: ip('10.9.9.9'),
      },
    ]) {
      const request = addRouteRequest(1, route, true);
      expect(parseRoute(request, splitMessages(request)[0])).to.deep.equal(route);
    }
  });

  it('adds a route only where there is none, when told so', () => {
    const route = { destination: net('0.0.0.0/0'), linkIndex: 5 };
    const flags = (replaces: boolean): number =>
      addRouteRequest(1, route, replaces)[7] * 256 + addRouteRequest(1, route, replaces)[6];
    expect(flags(false)).to.equal(0x605);
    expect(flags(true)).to.equal(0x505);
  });

  it('asks which way a datagram with a mark would go', () => {
    expect(hex(routeLookupRequest(9, ip('192.0.2.1'), 7))).to.equal(
      `2c0000001a00010009000000000000000220${'00'.repeat(10)}08000100c00002010800100007000000`,
    );
    expect(hex(routeLookupRequest(9, ip('192.0.2.1'), 0))).to.have.length(72);
    const answer = message(24, `02200000${'fe030001'}00000000${'0800040003000000'}`);
    expect(parseRouteLookup(answer, splitMessages(answer)[0])).to.equal(3);
    const nowhere = message(24, `02200000${'fe030001'}00000000`);
    expect(parseRouteLookup(nowhere, splitMessages(nowhere)[0])).to.equal(0);
  });

  it('asks for a dump', () => {
    expect(hex(dumpRequest(9, NetlinkType.GetLink)).slice(8, 24)).to.equal('1200010309000000');
  });
});

describe('netlink answers', () => {
  it('splits a buffer, leaving out a torn tail', () => {
    const buffer = new Uint8Array([...message(16, '00'), 0, 0, 0, ...message(20, '', 2), 200, 0, 0, 0]);
    expect(splitMessages(buffer)).to.deep.equal([
      { type: 16, flags: 0, sequence: 1, start: 16, end: 17 },
      { type: 20, flags: 0, sequence: 2, start: 36, end: 36 },
    ]);
    expect(splitMessages(bytes('00000000000000000000000000000000'))).to.deep.equal([]);
  });

  it('reads an error with the words of the kernel', () => {
    const plain = message(2, 'ffffffff' + '14000000180005060100000000000000');
    expect(parseError(plain, splitMessages(plain)[0])).to.deep.equal({ errno: 1, text: '' });
    const text = `${Buffer.from('no such thing\0').toString('hex')}0000`;
    const extended = message(2, `eaffffff${'14000000180005060100000000000000'}12000100${text}`);
    expect(parseError(extended, splitMessages(extended)[0])).to.deep.equal({ errno: 22, text: 'no such thing' });
  });

  it('reads a link', () => {
    const link = message(
      16,
      '0000feff' +
        '03000000' +
        '51100000' +
        '00000000' + // up + running
        '0a000300' +
        '77656674300000 00' + // name weft0, padded
        '08000400' +
        '14050000' +
        '08000d00' +
        'f4010000',
    );
    expect(parseLink(link, splitMessages(link)[0])).to.deep.equal({
      index: 3,
      name: 'weft0',
      mtu: 1300,
      txQueueLength: 500,
      isUp: true,
      isRunning: true,
      kind: '',
    });
  });

  it('reads what kind of link it is', () => {
    const link = message(
      16,
      `0000000001000000${'0000000000000000'}${'10001200' + '0b000100' + '62726964676500' + '00'}`,
    );
    expect(parseLink(link, splitMessages(link)[0])?.kind).to.equal('bridge');
  });

  it('reads the local address of a point-to-point link, and of any other', () => {
    const peer = message(20, '02200000' + '05000000' + '08000100' + '0a000002' + '08000200' + '0a000001');
    expect(parseAddressMessage(peer, splitMessages(peer)[0])?.prefix.text).to.equal('10.0.0.1/32');
    const plain = message(20, `0a400000${'05000000'}14000100fd000000000000000000000000000001`);
    expect(parseAddressMessage(plain, splitMessages(plain)[0])).to.deep.include({ linkIndex: 5 });
    expect(parseAddressMessage(plain, splitMessages(plain)[0])?.prefix.text).to.equal('fd00::1/64');
  });

  it('passes over what it does not understand', () => {
    const otherTable = message(24, `021800000${'a'}020001${'00000000'}08000400${'05000000'}`);
    expect(parseRoute(otherTable, splitMessages(otherTable)[0])).to.equal(null);
    const wrongLength = message(20, `02200000${'05000000'}06000200${'0a000000'}`);
    expect(parseAddressMessage(wrongLength, splitMessages(wrongLength)[0])).to.equal(null);
  });

  it('never throws on random bytes', () => {
    const random = new Random(3);
    for (let round = 0; round < 3000; round++) {
      const body = random.bytes(random.below(80));
      const type = random.pick([2, 16, 20, 24]);
      const buffer = message(type, hex(body));
      for (const span of splitMessages(buffer)) {
        parseError(buffer, span);
        parseLink(buffer, span);
        parseAddressMessage(buffer, span);
        parseRoute(buffer, span);
        parseRouteLookup(buffer, span);
      }
      readChange(random.bytes(random.below(80)));
    }
  });

  it('says what kind of thing changed', () => {
    const both = new Uint8Array([...message(16, ''), ...message(21, '')]);
    expect(readChange(both)).to.deep.equal({ links: true, addresses: true });
    expect(readChange(message(20, ''))).to.deep.equal({ links: false, addresses: true });
    expect(readChange(message(24, ''))).to.deep.equal({ links: false, addresses: false });
  });
});
