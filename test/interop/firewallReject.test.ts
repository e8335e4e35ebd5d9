/** A client behind nebula 1.6.1 meets weft's refusals: at once, through a tunnel of the other implementation. */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { requireLab } from '../support/environment.ts';
import { lively, outcomes, serve } from '../support/firewallProbe.ts';
import { Pair, RIGHT } from '../support/pair.ts';

describe('interop with nebula 1.6.1: refusals', function () {
  this.timeout(60_000);
  let pair: Pair | null = null;

  before(function () {
    requireLab(this, 'nebula', 'nebula-cert');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  it('inbound_action: reject of weft reaches the client behind nebula', async () => {
    pair = new Pair({ left: { kind: 'nebula' } });
    const { lab, left, right } = pair;
    const inbound = [{ port: 8001, proto: 'tcp', host: 'left' }];
    await Promise.all([
      left.start(),
      right.start({ config: { firewall: { inbound, inbound_action: 'reject' } } }),
      serve(lab, right.namespace, { tcp: [8001, 8009], udp: [8009] }),
    ]);
    const attempts = [lively('tcp', RIGHT, 8001), lively('tcp', RIGHT, 8009), lively('udp', RIGHT, 8009)];
    const expected = ['answered', 'ECONNREFUSED', 'EHOSTUNREACH'];
    expect(await outcomes(lab, left.namespace, attempts)).to.deep.equal(expected);
  });
});
