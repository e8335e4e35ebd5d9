/** The private key of a host stays in the primary: not in a log at any level, not in what is printed, not in a worker. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { CertifiedPair, filesOf, NETWORKS, reload } from '../support/certifiedPair.ts';
import { requireLab } from '../support/environment.ts';
import { WEFT_MAIN } from '../support/nodes.ts';
import { ownDirectory } from '../support/ownDirectory.ts';
import { RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { type HostKey, WeftPki } from '../support/weftPki.ts';
import { findInMemory } from './processMemory.ts';

interface Secret {
  readonly pem: string;
  readonly bytes: Buffer;
  /** As text, in every form in which somebody might print it. */
  readonly texts: readonly string[];
}

function secretOf({ key }: HostKey): Secret {
  const pem = readFileSync(key, 'utf8');
  const bytes = Buffer.from(pem.split('\n')[1], 'base64');
  const numbers = [...bytes].join(',');
  const base64 = bytes.toString('base64').replaceAll('=', '');
  return { pem, bytes, texts: [base64, bytes.toString('base64url'), bytes.toString('hex'), numbers] };
}

describe('the private key of a node', function () {
  this.timeout(120_000);
  let directory: string;
  let remove = (): void => undefined;
  let pki: WeftPki;
  let key: HostKey;
  let cert: string;
  let secret: Secret;
  let certified: CertifiedPair | null = null;

  before(() => {
    [directory, remove] = ownDirectory('weft-secrets-');
    pki = new WeftPki(directory, 'authority');
    key = pki.key('left');
    cert = pki.certify(key, { networks: NETWORKS.left });
    secret = secretOf(key);
  });
  after(() => remove());
  afterEach(() => {
    certified?.close();
    certified = null;
  });

  function expectNothingIn(text: string, where: string): void {
    const inOneLine = text.replaceAll(/\s/g, '');
    for (const form of secret.texts) {
      expect(inOneLine.includes(form), `the key as ${form.length} characters in ${where}`).to.equal(false);
    }
  }

  /** What `weft check` prints of a text. */
  function check(text: string): { readonly printed: string; readonly code: number | null } {
    const path = join(directory, 'checked.yml');
    writeFileSync(path, text);
    const { stdout, stderr, status } = spawnSync(process.execPath, [WEFT_MAIN, 'check', '-config', path], {
      encoding: 'utf8',
    });
    return { printed: stdout + stderr, code: status };
  }

  const indented = (pem: string): string => pem.trim().replaceAll(/^/gm, '    ');
  const configs: readonly {
    readonly title: string;
    readonly text: () => string;
    readonly code: number;
    readonly names: RegExp;
  }[] = [
    {
      title: 'a good configuration with the key in it',
      text: () => `pki:\n  ca: ${pki.ca}\n  cert: ${cert}\n  key: |\n${indented(secret.pem)}\n`,
      code: 0,
      names: /usable/,
    },
    {
      title: 'a YAML error right behind the key',
      text: () => `pki:\n  ca: ${pki.ca}\n  cert: ${cert}\n  key: |\n${indented(secret.pem)}\n ]bad: [\n`,
      code: 1,
      names: /checked\.yml/,
    },
    {
      title: 'a key of the wrong type',
      text: () => `pki:\n  ca: ${pki.ca}\n  cert: ${cert}\n  key: [${JSON.stringify(secret.pem)}]\n`,
      code: 1,
      names: /pki\.key/,
    },
    {
      title: 'a key without its BEGIN line',
      text: () => `pki:\n  ca: ${pki.ca}\n  cert: ${cert}\n  key: ${secret.pem.split('\n')[1]}\n`,
      code: 1,
      names: /pki\.key/,
    },
    {
      title: 'a key without its END line',
      text: () =>
        `pki:\n  ca: ${pki.ca}\n  cert: ${cert}\n  key: |\n${indented(secret.pem.split('\n').slice(0, 2).join('\n'))}\n`,
      code: 1,
      names: /pki\.key/,
    },
    {
      title: 'the key in the place of another setting',
      text: () =>
        `pki: {ca: ${pki.ca}, cert: ${cert}, key: ${key.key}}\nlisten:\n  port: ${JSON.stringify(secret.pem)}\n`,
      // A warning: the default is taken, as Nebula does.
      code: 0,
      names: /listen\.port.*found a PEM block/,
    },
  ];
  for (const { title, text, code, names } of configs) {
    it(`is not printed by weft check: ${title}`, () => {
      const checked = check(text());
      expect(checked.printed).to.match(names);
      expect(checked.code).to.equal(code);
      expectNothingIn(checked.printed, 'the output');
    });
  }

  it('is in no log line at any level and in no memory of a worker, through handshakes and reloads', async function () {
    requireLab(this, 'ping', 'nebula-cert');
    const right = pki.key('right');
    const started = new CertifiedPair();
    certified = started;
    await started.start(
      {
        files: { ca: pki.ca, cert, key: secret.pem },
        config: { routines: 2, logging: { level: 'trace', format: 'text' } },
      },
      { files: filesOf(pki.ca, right, pki.certify(right, { networks: NETWORKS.right })) },
    );
    const { lab, left: node } = started.pair;
    await untilReachable(lab, node.namespace, RIGHT);
    const renewed = pki.certify(key, { networks: NETWORKS.left, groups: 'renewed' });
    for (const [changes, told] of [
      [{ cert: renewed }, /Configuration reloaded/],
      [{ key: right.key }, /not a pair/],
      [{ key: secret.pem.replace('END', 'ENDE') }, /pki\.key/],
    ] as const) {
      const mark = reload(node, { pki: changes });
      await node.program.waitForLine(told, 20_000, mark);
    }
    expect((await ping(lab, node.namespace, RIGHT)).received).to.equal(3);
    const needles = [secret.bytes, Buffer.from(secret.texts[0])];
    const workers = node.workerPids();
    expect(workers).to.have.length(2);
    for (const pid of workers) {
      expect(findInMemory(pid, needles), `worker ${pid}: the key as bytes, as text`).to.deep.equal([0, 0]);
    }
    expect(findInMemory(node.program.pid, needles)[0], 'the primary, which must have it').to.be.greaterThan(0);
    await node.stop();
    expectNothingIn(node.lines.join('\n'), 'the log');
  });
});
