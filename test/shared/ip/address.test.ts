import { expect } from 'chai';
import { describe, it } from 'mocha';
import { PrefixTable } from '../../../src/primary/control/discovery/prefixTable.ts';
import {
  addressFromBytes,
  compareAddresses,
  maskedPrefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
  prefixContains,
  splitHostPort,
  writeMapped,
} from '../../../src/shared/ip/address.ts';
import { Random } from '../../support/random.ts';

describe('addresses', () => {
  it('have one spelling each', () => {
    for (const [text, canonical] of [
      ['10.1.2.3', '10.1.2.3'],
      ['::', '::'],
      ['0:0:0:0:0:0:0:1', '::1'],
      ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['fe80:0:0:1::', 'fe80:0:0:1::'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
      ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ]) {
      expect(parseAddress(text)?.text, text).to.equal(canonical);
    }
  });

  it('refuse everything else', () => {
    const bad = ['', '1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '1.2.3.4 ', ':::', '1::2::3', 'g::', '12345::'];
    for (const text of [...bad, '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7::8', '::1.2.3', 'fe80::1%eth0']) {
      expect(parseAddress(text), text).to.equal(null);
    }
  });

  it('survive text and bytes', () => {
    const random = new Random(5);
    for (let round = 0; round < 2000; round++) {
      const bytes = random.bytes(random.bool() ? 4 : 16);
      for (let at = 0; at < bytes.length; at++) {
        bytes[at] = random.below(3) === 0 ? 0 : bytes[at];
      }
      const address = addressFromBytes(bytes);
      expect(parseAddress(address.text)).to.deep.equal(address);
      const mapped = new Uint8Array(20);
      writeMapped(address, mapped, 3);
      expect(addressFromBytes(mapped, 3, 16)).to.deep.equal(address);
    }
  });

  it('keep their bytes when the source changes, also when it is a Buffer', () => {
    const source = Buffer.from([10, 0, 0, 1]);
    const address = addressFromBytes(source);
    source.fill(0);
    expect([...address.bytes]).to.deep.equal([10, 0, 0, 1]);
  });

  it('order IPv4 before IPv6, then by number', () => {
    const texts = ['9.0.0.0', '10.0.0.1', '200.0.0.0', '::1', 'fd00::'];
    const sorted = [...texts].reverse().map((text) => parseAddress(text)!);
    expect(sorted.sort(compareAddresses).map(({ text }) => text)).to.deep.equal(texts);
  });
});

describe('prefixes', () => {
  it('keep host bits, and mask them where a network is meant', () => {
    const prefix = parsePrefix('10.1.2.3/12')!;
    expect([prefix.text, maskedPrefix(prefix).text]).to.deep.equal(['10.1.2.3/12', '10.0.0.0/12']);
    expect(prefixContains(prefix, parseAddress('10.15.255.255')!)).to.equal(true);
    expect(prefixContains(prefix, parseAddress('10.16.0.0')!)).to.equal(false);
    expect(prefixContains(parsePrefix('::/0')!, parseAddress('10.0.0.1')!)).to.equal(false);
    for (const text of ['10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/-1', '10.0.0.0/08x', '/8']) {
      expect(parsePrefix(text), text).to.equal(null);
    }
  });

  it('match the longest in a table', () => {
    const table = new PrefixTable<string>();
    for (const text of ['0.0.0.0/0', '10.0.0.0/8', '10.42.0.0/16', '::1/128']) {
      table.set(parsePrefix(text)!, text);
    }
    const look = (text: string): string | undefined => table.lookup(parseAddress(text)!);
    expect([look('10.42.9.9'), look('10.43.0.0'), look('11.0.0.0'), look('::1'), look('::2')]).to.deep.equal([
      '10.42.0.0/16',
      '10.0.0.0/8',
      '0.0.0.0/0',
      '::1/128',
      undefined,
    ]);
  });
});

describe('endpoints', () => {
  it('are an address and a port', () => {
    expect(parseEndpoint('192.0.2.1:4242')?.text).to.equal('192.0.2.1:4242');
    expect(parseEndpoint('[2001:db8::1]:1')?.text).to.equal('[2001:db8::1]:1');
    for (const text of ['192.0.2.1', '192.0.2.1:65536', '2001:db8::1:80', 'host:80', '[::1]', ':80']) {
      expect(parseEndpoint(text), text).to.equal(null);
    }
    expect(splitHostPort('host.example:80')).to.deep.equal({ host: 'host.example', port: 80 });
  });
});
