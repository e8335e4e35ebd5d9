/**
 * The same generated rule sets and packets through weft's firewall and through nebula 1.6.1's: both say the same of each.
 *
 * Five peers with different certificates talk to two nodes that have the same rules, groups and CAs, one of them weft, one
 * nebula. Packets are put into the tun devices and looked for behind the tunnel; the devices have no addresses left, so no
 * kernel answers and every packet in the tunnels is one of ours. Rule sets follow each other by SIGHUP on the running
 * nodes, so flows of earlier sets meet the later ones as well. `firewallCases.ts` says what is left out and why.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { requireLab } from '../support/environment.ts';
import { type Contest, openContest, type Seen } from './firewallContest.ts';

const SEED = 20_260;
const RULE_SETS = 40;
const PACKETS_INBOUND = 24;
const PACKETS_OUTBOUND = 16;

describe('interop with nebula 1.6.1: firewall', function () {
  this.timeout(60_000);
  let contest: Contest;

  before(async function () {
    requireLab(this, 'nebula', 'nebula-cert', 'ip', 'nft');
    contest = await openContest(SEED);
  });
  after(() => {
    contest?.close();
  });

  it(`gives the same verdicts on ${RULE_SETS * (PACKETS_INBOUND + PACKETS_OUTBOUND)} pairs of rule set and packet`, async () => {
    const seen: Seen[] = [];
    for (let set = 0; set < RULE_SETS; set++) {
      await contest.install();
      seen.push(...(await contest.run(true, PACKETS_INBOUND)));
      seen.push(...(await contest.run(false, PACKETS_OUTBOUND)));
    }
    expect(seen.length)
      .to.equal(RULE_SETS * (PACKETS_INBOUND + PACKETS_OUTBOUND))
      .and.to.be.at.least(200);
    const different = seen.filter(({ weft, nebula }) => weft !== nebula);
    expect(different.map((one) => JSON.stringify(one)).join('\n')).to.equal('');
    for (const incoming of [true, false]) {
      const verdicts = seen.filter((one) => one.packet.incoming === incoming).map(({ weft }) => weft);
      expect(verdicts.filter((passed) => passed).length / verdicts.length, 'share that passed').to.be.within(0.1, 0.9);
    }
  });
});
