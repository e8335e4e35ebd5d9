import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ResolveRequest } from '../../../src/primary/control/effects.ts';
import { DnsResolver } from '../../../src/primary/machine/dnsResolver.ts';
import { target } from '../../support/addresses.ts';

const request = (network: 'ip4' | 'ip6' | 'ip', targets: string[], timeoutMs = 1000): ResolveRequest => ({
  id: 1,
  targets: targets.map(target),
  network,
  timeoutMs,
});

describe('primary/dnsResolver', () => {
  it('gives endpoints in the order of the targets, and names what failed', async () => {
    const asked: string[] = [];
    const resolver = new DnsResolver(async (host, family) => {
      asked.push(`${host}/${family}`);
      if (host === 'bad.example') {
        throw new Error('ENOTFOUND');
      }
      return host === 'empty.example' ? [] : ['192.0.2.1', 'not an address', '2001:db8::1'];
    });
    const answer = await resolver.resolve(
      request('ip', ['198.51.100.1:1', 'bad.example:2', 'good.example:3', 'empty.example:4', '[2001:db8::9]:5']),
    );
    expect(answer.endpoints.map((endpoint) => endpoint.text)).to.deep.equal([
      '198.51.100.1:1',
      '192.0.2.1:3',
      '[2001:db8::1]:3',
      '[2001:db8::9]:5',
    ]);
    expect(answer.failures).to.deep.equal([
      { host: 'bad.example', error: 'ENOTFOUND' },
      { host: 'empty.example', error: 'no address found' },
    ]);
    expect(asked).to.deep.equal(['bad.example/0', 'good.example/0', 'empty.example/0']);
  });

  it('keeps literals only of the family asked for', async () => {
    const resolver = new DnsResolver(async () => []);
    const endpoints = async (network: 'ip4' | 'ip6'): Promise<string[]> =>
      (await resolver.resolve(request(network, ['192.0.2.1:1', '[2001:db8::1]:1']))).endpoints.map(({ text }) => text);
    expect(await endpoints('ip4')).to.deep.equal(['192.0.2.1:1']);
    expect(await endpoints('ip6')).to.deep.equal(['[2001:db8::1]:1']);
  });

  it('gives up in time, and does not ask again for a name that is still being looked up', async () => {
    let calls = 0;
    let release: (addresses: string[]) => void = () => {};
    const resolver = new DnsResolver(() => {
      calls++;
      return new Promise((resolve) => {
        release = resolve;
      });
    });
    const first = await resolver.resolve(request('ip4', ['slow.example:1'], 1));
    expect(first.failures).to.deep.equal([{ host: 'slow.example', error: 'no answer within 1 ms' }]);
    const second = resolver.resolve(request('ip4', ['slow.example:1'], 5000));
    release(['192.0.2.1']);
    expect((await second).endpoints.map(({ text }) => text)).to.deep.equal(['192.0.2.1:1']);
    expect(calls).to.equal(1);
    const third = resolver.resolve(request('ip4', ['slow.example:1'], 5000));
    release(['192.0.2.2']);
    expect((await third).endpoints.map(({ text }) => text)).to.deep.equal(['192.0.2.2:1']);
    expect(calls).to.equal(2);
  });

  it('keeps the last addresses of a name until an answer says otherwise', async () => {
    let answer: () => Promise<readonly string[]> = async () => ['192.0.2.1'];
    const resolver = new DnsResolver(() => answer());
    const ask = async (timeoutMs = 5000): Promise<[string[], string[]]> => {
      const { endpoints, failures } = await resolver.resolve(request('ip4', ['a.example:1'], timeoutMs));
      return [endpoints.map(({ text }) => text), failures.map(({ error }) => error)];
    };
    expect(await ask()).to.deep.equal([['192.0.2.1:1'], []]);
    answer = () => Promise.reject(Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' }));
    expect(await ask()).to.deep.equal([['192.0.2.1:1'], ['getaddrinfo EAI_AGAIN']]);
    answer = () => new Promise((resolve) => setTimeout(resolve, 20, ['192.0.2.2']));
    expect(await ask(1), 'a timeout').to.deep.equal([['192.0.2.1:1'], ['no answer within 1 ms']]);
    expect(await ask(), 'the answer to the same lookup').to.deep.equal([['192.0.2.2:1'], []]);
    answer = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    expect(await ask(), 'no such name').to.deep.equal([[], ['getaddrinfo ENOTFOUND']]);
    answer = () => Promise.reject(Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' }));
    expect(await ask(), 'nothing to keep').to.deep.equal([[], ['getaddrinfo EAI_AGAIN']]);
  });

  it('asks the system', async () => {
    const answer = await new DnsResolver().resolve(request('ip4', ['localhost:4242'], 5000));
    expect(answer.endpoints.map(({ text }) => text)).to.deep.equal(['127.0.0.1:4242']);
  });
});
