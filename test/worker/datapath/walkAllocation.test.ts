/** Nothing is allocated per packet from tun to tun: no collection of garbage in a long run, a heap that does not grow. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { NODE_PROVIDER_NAME, PROVIDER_NAMES } from '../../../src/shared/crypto/providerNames.ts';
import { tryLoad } from '../../../src/shared/crypto/providers.ts';
import type { WalkMeasurement } from './walkAllocation.child.ts';

const child = fileURLToPath(new URL('walkAllocation.child.js', import.meta.url));
const Packets = 1_000_000;
/** One box per packet has 16. What is left is the runtime's own: a late compilation, the measurement. */
const BytesMax = 2;
const Attempts = 3;

describe('the whole data path allocates nothing per packet', function () {
  this.timeout(300_000);

  it('where an object for each packet would be seen', async () => {
    const measured = await cleanest('wasteful', 'node-evp');
    expect(() => expectNothing(measured)).to.throw('per packet');
  });

  // The last resort of the providers is made of node's objects, several for each packet.
  for (const provider of PROVIDER_NAMES.filter(
    (name) => name !== NODE_PROVIDER_NAME && tryLoad(name).provider !== null,
  )) {
    it(`small packets with ${provider}`, async () => {
      expectNothing(await cleanest('small', provider));
    });
  }

  it('small packets of flows that the routine cache knows', async () => {
    expectNothing(await cleanest('cached', 'node-evp'));
  });

  for (const kind of ['tcp', 'udp']) {
    it(`${kind} super-packets, cut and joined again`, async () => {
      const measured = await cleanest(kind, 'node-evp');
      expectNothing(measured);
      expect(measured.writes).to.equal(measured.packets / 32);
    });
  }
});

/** A compilation that the machine finishes late may spoil a run; an object for each packet spoils all of them. */
async function cleanest(kind: string, provider: string): Promise<WalkMeasurement> {
  let measured = await measure(kind, provider);
  for (let attempt = 1; attempt < Attempts && !isClean(measured); attempt++) {
    measured = await measure(kind, provider);
  }
  return measured;
}

function isClean({ bytesPerPacket, collections }: WalkMeasurement): boolean {
  return collections === 0 && bytesPerPacket < BytesMax;
}

function expectNothing({ bytesPerPacket, collections, writes }: WalkMeasurement): void {
  expect(writes).to.be.greaterThan(0);
  expect(collections, `collections; ${bytesPerPacket} bytes per packet`).to.equal(0);
  expect(bytesPerPacket, 'bytes per packet').to.be.lessThan(BytesMax);
}

async function measure(kind: string, provider: string): Promise<WalkMeasurement> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', child, kind, provider, `${Packets}`]);
  return JSON.parse(stdout) as WalkMeasurement;
}
