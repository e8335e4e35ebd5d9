/** Our segmentation and joining against the kernel's own, byte for byte, over two tun devices. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { requireLab } from '../support/environment.ts';

interface Result {
  readonly offload: { readonly tso: boolean };
  readonly packetCount: number;
  readonly joinedWrites: number;
  readonly drops: number;
  readonly faults: readonly string[];
}

describe('offloads, with the kernel as oracle', function () {
  this.timeout(60_000);
  before(function () {
    requireLab(this, 'unshare', 'ip');
  });

  it('cuts super-packets into the packets that the kernel makes, and joins them into super-packets it takes', () => {
    const program = fileURLToPath(new URL('./kernelOffload.child.js', import.meta.url));
    // The namespace has no name and ends with the child.
    const child = spawnSync('unshare', ['--net', process.execPath, program], { encoding: 'utf8' });
    expect(child.status, child.stderr).to.equal(0);
    const result = JSON.parse(child.stdout) as Result;
    expect(result.faults).to.deep.equal([]);
    expect(result.offload.tso).to.equal(true);
    expect(result.drops).to.equal(0);
    // Most packets went in joined: hundreds of writes for thousands of packets.
    expect(result.packetCount).to.be.greaterThan(2000);
    expect(result.joinedWrites).to.be.lessThan(result.packetCount / 4);
  });
});
