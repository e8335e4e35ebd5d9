import { expect } from 'chai';
import { describe, it } from 'mocha';
import { explain, type TrackedFlow } from '../../../src/primary/inspection/explain.ts';
import { Verdict } from '../../../src/shared/firewall/verdict.ts';
import { ownIdentity, peerIdentity, rulesOf, tupleOf } from '../../shared/firewall/certificates.ts';

const own = ownIdentity({ name: 'me', networks: ['10.0.0.1/24'] }, { abc: 'good ca' });
const peer = peerIdentity({ name: 'laptop', networks: ['10.0.0.2/24'], groups: ['staff'], issuer: 'abc' }, own);
const packet = { local: '10.0.0.1', remote: '10.0.0.2', protocol: 6, localPort: 443, remotePort: 50000 };
const rules = rulesOf({
  version: 4,
  inbound: [
    { port: 80, proto: 'udp', groups: ['staff', 'admin'], host: 'desktop', ca_name: 'good ca' },
    { port: '400-500', proto: 'tcp', group: 'staff', cidr: '10.9.0.0/16' },
    { port: 'fragment', proto: 'any', host: 'any', local_cidr: '10.0.0.9/32' },
  ],
});

function flow(rulesVersion: number): TrackedFlow {
  return { incoming: true, rulesVersion, rule: 1, expiresInSeconds: 20 };
}

describe('explanation', () => {
  it('names the rule that matches and, for the others, each field that fails', () => {
    const explanation = explain(tupleOf(packet), peer, own, rules, true, null);
    expect(explanation).to.deep.include({
      allowed: true,
      verdict: Verdict.Rule,
      direction: 'incoming',
      conntrack: null,
    });
    expect(explanation.rule?.name).to.equal('firewall.inbound rule #1');
    expect(explanation.rule?.text).to.equal('port: 400-500, proto: tcp, group: staff, cidr: 10.9.0.0/16');
    expect(explanation.packet).to.deep.equal({
      Fragment: false,
      LocalAddr: '10.0.0.1',
      LocalPort: 443,
      Protocol: 'tcp',
      RemoteAddr: '10.0.0.2',
      RemotePort: 50000,
    });
    const failed = explanation.rules.map((rule) =>
      rule.checks.filter((check) => !check.passed).map((check) => check.field),
    );
    expect(failed).to.deep.equal([['proto', 'port', 'groups', 'host'], [], ['port', 'local_cidr']]);
    const groups = explanation.rules[0].checks.find((check) => check.field === 'groups');
    expect(groups).to.deep.equal({ field: 'groups', wanted: 'staff and admin', actual: 'staff', passed: false });
    const authority = explanation.rules[0].checks.find((check) => check.field === 'certificate authority');
    expect(authority).to.deep.include({ wanted: 'good ca', actual: 'good ca (abc)', passed: true });
  });

  it('stops at the identity that fails', () => {
    const stranger = explain(tupleOf({ ...packet, remote: '10.0.0.3' }), peer, own, rules, true, flow(4));
    expect(stranger).to.deep.include({ allowed: false, verdict: Verdict.RemoteAddress, rules: [], conntrack: null });
    expect(stranger.identity.map((check) => check.passed)).to.deep.equal([false, true]);
    expect(stranger.identity[0]).to.deep.include({ wanted: '10.0.0.2', actual: '10.0.0.3' });
    const elsewhere = explain(tupleOf({ ...packet, local: '10.0.0.7' }), peer, own, rules, true, null);
    expect(elsewhere.verdict).to.equal(Verdict.LocalAddress);
    expect(elsewhere.reason).to.equal('local address is not in list of handled local addresses');
  });

  it('says what a live flow is worth', () => {
    const tuple = tupleOf(packet);
    const fresh = explain(tuple, peer, own, rules, false, flow(4));
    expect(fresh).to.deep.include({ allowed: true, verdict: Verdict.Conntrack });
    expect(fresh.conntrack?.recheck).to.equal('not needed');
    expect(explain(tuple, peer, own, rules, false, flow(3)).conntrack?.recheck).to.equal('passes');
    const cut = explain(tupleOf({ ...packet, localPort: 22 }), peer, own, rules, false, flow(3));
    expect(cut).to.deep.include({ allowed: false, verdict: Verdict.NoRule });
    expect(cut.conntrack?.recheck).to.equal('fails');
  });
});
