/**
 * A node that cannot run says so in one line, exits with 1 and leaves nothing behind: no device, no socket, no child.
 */
import { existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { allProcesses } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { type NodeOptions, OVERLAY_DEVICE, TestNode, UNDERLAY_PORT, WEFT_MAIN } from '../support/nodes.ts';
import { LEFT, Pair } from '../support/pair.ts';
import { udpPorts } from '../support/procfs.ts';

const PORT_HOLDER = `require('dgram').createSocket('udp4').bind(${UNDERLAY_PORT}, '0.0.0.0')`;

describe('a node that cannot start', function () {
  this.timeout(60_000);
  let pair: Pair;
  let node: TestNode;

  before(function () {
    requireLab(this, 'nebula-cert', 'setpriv', 'unshare');
  });
  beforeEach(() => {
    pair = new Pair({ left: { routines: 2 } });
    node = pair.left;
  });
  afterEach(() => {
    pair.close();
  });

  /** A second node, to be run in the namespace of the first. */
  function secondNode(): TestNode {
    const files = pair.pki.sign('second', `${LEFT}/24`);
    return new TestNode(pair.lab, node.namespace, { kind: 'weft', label: 'second', files });
  }

  it('without privilege', async () => {
    const weft = [process.execPath, WEFT_MAIN, 'run'];
    await expectRefusal(node, /root|CAP_NET_ADMIN|privilege|permission|permitted/i, {
      command: ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--', ...weft],
    });
    expect(await node.hasDevice()).to.equal(false);
  });

  it('without /dev/net/tun and what it takes to make it', async () => {
    const script = [
      'mkdir -p /dev/net && mount -t tmpfs none /dev/net',
      `exec setpriv --bounding-set=-mknod --inh-caps=-mknod -- ${process.execPath} ${WEFT_MAIN} run "$@"`,
    ].join(' && ');
    await expectRefusal(node, /\/dev\/net\/tun is missing.*CAP_MKNOD.*--device \/dev\/net\/tun/, {
      command: ['unshare', '--mount', 'sh', '-c', script, 'sh'],
    });
    expect(await node.hasDevice()).to.equal(false);
  });

  it('with the name of a device that another node holds', async () => {
    await node.start();
    const names = new RegExp(`${OVERLAY_DEVICE}.*process ${node.program.pid} `);
    await expectRefusal(secondNode(), names, { port: UNDERLAY_PORT + 1 });
    expect(node.program.status, 'the first node').to.equal(null);
    expect(await node.hasDevice()).to.equal(true);
  });

  it('on a port that another program holds', async () => {
    const holder = startPortHolder(pair);
    await until('the port to be held', () => udpPorts(holder.pid).includes(UNDERLAY_PORT));
    await expectRefusal(node, new RegExp(`${UNDERLAY_PORT}.*process ${holder.pid} `));
    expect(await node.hasDevice()).to.equal(false);
  });

  it('on a port that a worker holds whose node is gone, stopped: the line says how to end it', async () => {
    const directory = join(pair.lab.directory, 'worker');
    mkdirSync(directory);
    writeFileSync(join(directory, 'main.js'), PORT_HOLDER);
    const holder = pair.lab.start(node.namespace, [process.execPath, join(directory, 'main.js')]);
    await until('the port to be held', () => udpPorts(holder.pid).includes(UNDERLAY_PORT));
    holder.signal('SIGSTOP');
    await expectRefusal(node, new RegExp(`a worker whose node is gone, stopped\\): kill -9 ${holder.pid},`));
    process.kill(holder.pid, 'SIGKILL');
    await holder.exited;
    await node.start();
  });

  it('on a port that another weft node holds', async () => {
    await node.start();
    const names = new RegExp(`${UNDERLAY_PORT}.*process ${node.program.pid} `);
    await expectRefusal(secondNode(), names, { config: { tun: { dev: 'overlay1' } } });
    expect(node.program.status, 'the first node').to.equal(null);
    expect(udpPorts(node.program.pid)).to.have.length(2);
  });

  it('with an expired certificate', async () => {
    const files = pair.pki.sign('shortlived', `${LEFT}/24`, { duration: '1s' });
    const signedMs = Date.now();
    await until('the certificate to expire', () => Date.now() > signedMs + 2_100, 30_000, 100);
    await expectRefusal(node, /expired/i, { files });
    expect(await node.hasDevice()).to.equal(false);
  });

  it('with the key of another certificate', async () => {
    const [mine, other] = ['mine', 'other'].map((name) => pair.pki.sign(name, `${LEFT}/24`));
    await expectRefusal(node, /key/i, { files: { ...mine, key: other.key } });
  });

  it('with a key that is not there', async () => {
    const files = pair.pki.sign('keyless', `${LEFT}/24`);
    unlinkSync(files.key);
    await expectRefusal(node, /keyless\.key/, { files });
  });

  it('with a certificate that is no PEM', async () => {
    const files = pair.pki.sign('garbled', `${LEFT}/24`);
    writeFileSync(files.cert, 'not a certificate\n');
    await expectRefusal(node, /garbled\.crt|pki\.cert/, { files });
  });

  it('without a configuration file', async () => {
    const missing = join(pair.lab.directory, 'missing.yml');
    const outcome = await pair.lab.run(node.namespace, [process.execPath, WEFT_MAIN, 'run', '-config', missing]);
    expect(outcome.code).to.equal(1);
    expect(outcome.lines.filter((line) => line !== '')).to.have.length(1);
    expect(outcome.lines[0]).to.include(missing);
  });

  it('with a firewall rule that has no meaning', async () => {
    const inbound = [{ port: '443', proto: 'nonsense', host: 'any' }];
    await expectRefusal(node, /firewall\.inbound/, { config: { firewall: { inbound } } });
  });

  it('with several faults, and names them all at once', async () => {
    const { exited } = node.launch({ config: { routines: 'many', cipher: 'rot13', tun: { mtu: 'large' } } });
    expect(await exited).to.deep.equal({ code: 1, signal: null });
    for (const key of ['routines', 'cipher', 'tun.mtu']) {
      expect(node.lines.join('\n')).to.include(key);
    }
  });
});

describe('a node whose log nobody takes', function () {
  this.timeout(60_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert');
    pair = new Pair();
  });
  after(() => pair?.close());

  for (const [title, sink] of [
    ['a full disk', '>/dev/full'],
    ['a reader that is gone', '| true'],
  ]) {
    it(`runs and ends as any other (${title})`, async () => {
      const node = pair.left;
      const pidFile = join(pair.lab.directory, 'pid');
      const weft = `echo $$ >${pidFile}; exec ${process.execPath} ${WEFT_MAIN} run "$@"`;
      const program = node.launch({
        command: ['sh', '-c', `{ sh -c '${weft}' sh "$@"; echo code $? >&2; } ${sink}`, 'sh'],
      });
      await until('the device', () => node.hasDevice());
      await until('the control socket', () => existsSync(node.socketPath));
      process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
      await program.exited;
      expect(program.lines).to.deep.equal(['code 0']);
      expect(await node.hasDevice()).to.equal(false);
    });
  }
});

async function expectRefusal(node: TestNode, names: RegExp, changes: Partial<NodeOptions> = {}): Promise<void> {
  const { mark, exited } = node.launch(changes);
  const status = await exited;
  const complaints = node.lines.filter((line) => !/\blevel=(debug|info|warn)|: warning: /i.test(line));
  expect(status, node.lines.join('\n')).to.deep.equal({ code: 1, signal: null });
  expect(complaints, node.lines.join('\n')).to.have.length(1);
  expect(complaints[0]).to.match(names);
  const left = allProcesses().filter((stat) => stat.session === mark.pid);
  expect(left, 'children left').to.deep.equal([]);
}

function startPortHolder(pair: Pair): ReturnType<Pair['lab']['start']> {
  return pair.lab.start(pair.left.namespace, [process.execPath, '-e', PORT_HOLDER]);
}
