import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseAddress, parsePrefix, prefixContains } from '../../../src/shared/ip/address.ts';
import { addressWords, containsAddress, findNetwork, networkWords } from '../../../src/shared/ip/networkWords.ts';
import { Random } from '../../support/random.ts';

describe('network words', () => {
  it('agree with prefixes over random networks and addresses, and keep the families apart', () => {
    const random = new Random(21);
    const networks = [
      '::/0',
      '::/96',
      '0.0.0.0/0',
      '10.0.0.0/8',
      '10.1.2.3/32',
      '192.168.128.0/17',
      'fd00::/8',
      '2001:db8::/33',
      'fd42::1/128',
    ].map((text) => parsePrefix(text)!);
    const addresses = ['10.1.2.3', '0.0.0.0', '192.168.200.1', '::', '::1', 'fd42::1', '2001:db8:8000::1'].map(
      (text) => parseAddress(text)!,
    );
    for (let round = 0; round < 5000; round++) {
      const list = Array.from({ length: 1 + random.below(4) }, () => random.pick(networks));
      const address = random.pick(addresses);
      const [d0, d1, d2, d3] = addressWords([address]);
      const expected = list.findIndex((network) => prefixContains(network, address));
      expect(
        findNetwork(networkWords(list), d0, d1, d2, d3),
        `${address.text} in ${list.map(({ text }) => text)}`,
      ).to.equal(expected);
    }
  });

  it('find an address in a list', () => {
    const list = addressWords([parseAddress('10.0.0.1')!, parseAddress('fd42::9')!]);
    const [d0, d1, d2, d3] = addressWords([parseAddress('fd42::9')!]);
    expect(containsAddress(list, d0, d1, d2, d3)).to.equal(true);
    expect(containsAddress(list, d0, d1, d2, d3 + 1)).to.equal(false);
  });
});
