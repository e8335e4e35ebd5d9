/**
 * A weft node that many hosts come to: the node in one namespace, a program that plays the hosts (`answersLoad.ts`) in
 * another, joined by one cable, on the same processors.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lab } from '../../../src/primary/cli/demo/lab.ts';
import type { Program } from '../../../src/primary/cli/demo/program.ts';
import { formatCertificate } from '../../../src/primary/pki/certificateFile.ts';
import { formatKey } from '../../../src/primary/pki/keyFile.ts';
import { signCertificate } from '../../../src/primary/pki/signing.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../../src/shared/crypto/dh.ts';
import { parsePrefix } from '../../../src/shared/ip/address.ts';
import { TestNode, UNDERLAY_PORT } from '../../support/nodes.ts';
import type { NodeFiles } from '../../support/pki.ts';
import type { LoadPlan } from './answersLoad.ts';

export interface Bench {
  readonly lab: Lab;
  readonly node: TestNode;
  /** Prints `ready` when every host has its tunnel; `loadSeconds` of queries follow, none for 0. */
  readonly startLoad: (hosts: number, loadSeconds: number) => Program;
}

const LOAD = fileURLToPath(new URL('./answersLoad.js', import.meta.url));
const UNDERLAY = '198.51.100.1';
const TUNNELS_MAX = 120_000;

/** Starts the node, lets it be measured and removes everything. */
export async function withManyHosts<T>(
  options: { readonly workers: number; readonly amLighthouse: boolean },
  measure: (bench: Bench) => Promise<T>,
): Promise<T> {
  const lab = new Lab('bench');
  try {
    const [left, right] = [lab.namespace('node'), lab.namespace('hosts')];
    lab.cable({ namespace: left, addresses: [`${UNDERLAY}/24`] }, { namespace: right, addresses: ['198.51.100.2/24'] });
    const { files, caKey } = certify(lab.directory);
    const node = new TestNode(lab, left, {
      kind: 'weft',
      files,
      routines: options.workers,
      config: { lighthouse: { am_lighthouse: options.amLighthouse }, tunnels: { max: TUNNELS_MAX } },
    });
    await node.start();
    const startLoad = (hosts: number, loadSeconds: number): Program => {
      const path = join(lab.directory, 'plan.json');
      const plan: LoadPlan = {
        caCert: files.ca,
        caKey,
        address: UNDERLAY,
        port: UNDERLAY_PORT,
        hosts,
        seconds: loadSeconds,
      };
      writeFileSync(path, JSON.stringify(plan));
      return lab.start(right, [process.execPath, LOAD, path]);
    };
    return await measure({ lab, node, startLoad });
  } finally {
    lab.close();
  }
}

/** An authority on P-256, whose signatures cost the load program little, and the node's certificate. */
function certify(directory: string): { readonly files: NodeFiles; readonly caKey: string } {
  const ca = join(directory, 'ca.crt');
  const caKey = join(directory, 'ca.key');
  const cert = join(directory, 'node.crt');
  const key = join(directory, 'node.key');
  const nowSeconds = Math.floor(Date.now() / 1000);
  const common = {
    version: 1 as const,
    unsafeNetworks: [],
    groups: [],
    notBefore: nowSeconds - 60,
    notAfter: nowSeconds + 86_400,
    curve: Curve.P256,
  };
  const authority = generateKeyPair(Curve.P256, randomBytes(32));
  const node = generateKeyPair(Curve.P256, randomBytes(32));
  const signer = { curve: Curve.P256, privateKey: authority.privateKey };
  const caFields = { ...common, name: 'bench', networks: [], isCa: true, publicKey: authority.publicKey };
  const caCertificate = signCertificate(caFields, null, signer);
  const networks = [parsePrefix('10.255.0.1/8')].filter((network) => network !== null);
  const fields = { ...common, name: 'node', networks, isCa: false, publicKey: node.publicKey };
  writeFileSync(ca, formatCertificate(caCertificate));
  writeFileSync(cert, formatCertificate(signCertificate(fields, caCertificate, signer)));
  writeFileSync(caKey, formatKey('ca private', { curve: Curve.P256, bytes: authority.privateKey }));
  writeFileSync(key, formatKey('host private', { curve: Curve.P256, bytes: node.privateKey }));
  return { files: { ca, cert, key }, caKey };
}
