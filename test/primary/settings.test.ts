import { deserialize, serialize } from 'node:v8';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type WorkerSurroundings, workerSettingsOf } from '../../src/primary/settings.ts';
import { FLOW_KEY_BYTES } from '../../src/shared/ipc/messages.ts';
import { net } from '../support/addresses.ts';
import { TestAuthority } from '../support/testAuthority.ts';
import { configOf } from './inspectedNode.ts';

const surroundings: WorkerSurroundings = {
  providers: { aes: 'node', chacha: 'node' },
  offload: { vnetHeader: true, tso: true, uso: false },
  family: 6,
  labelKey: new Uint8Array(FLOW_KEY_BYTES),
  ownPort: 4242,
  rulesVersion: 7,
};

const tree = {
  listen: { port: 4242 },
  lighthouse: {
    am_lighthouse: true,
    remote_allow_list: { '192.168.0.0/16': false },
    remote_allow_ranges: { 'fd00::/64': { '2001:db8::/32': true } },
  },
  tun: { unsafe_routes: [{ route: '172.16.0.0/12', via: [{ gateway: '10.0.0.9', weight: 3 }] }] },
  firewall: {
    inbound: [{ port: '80-90', proto: 'tcp', groups: ['a', 'b'], cidr: '10.0.0.0/8', local_cidr: 'fd00::/8' }],
    outbound: [{ port: 'any', proto: 'any', host: 'any' }],
    inbound_action: 'reject',
  },
};

describe('the settings of a worker', () => {
  const identity = new TestAuthority(1).identity('me', ['10.0.0.1/24']);
  const config = configOf(tree);
  const settings = workerSettingsOf(1, config, identity, surroundings);

  it('carry what the configuration has parsed, as it is', () => {
    expect(settings.networks).to.deep.equal([net('10.0.0.1/24')]);
    expect(settings.firewall.rules.inbound).to.equal(config.firewall.inbound);
    expect(settings.firewall).to.deep.include({ rulesVersion: 7, rejectsInbound: true, rejectsOutbound: false });
    const [{ route, via }] = config.tun.unsafeRoutes;
    expect(settings.routes).to.deep.equal([{ route, via }]);
    expect(settings.lighthouse?.allow.remoteAllowList).to.equal(config.lighthouse.remoteAllowList);
    expect(settings.lighthouse?.allow.remoteAllowRanges[0].network).to.deep.equal(net('fd00::/64'));
  });

  it('arrive on the other side of the channel as they were sent', () => {
    expect(deserialize(serialize(settings))).to.deep.equal(settings);
  });
});
