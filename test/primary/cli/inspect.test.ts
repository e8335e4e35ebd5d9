/** The commands that ask a node, against a served node in memory: output, JSON, exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { openApi } from '../../../src/primary/api/open.ts';
import type { ApiServer } from '../../../src/primary/api/server.ts';
import { ApiClientError, chooseSocket } from '../../../src/primary/cli/apiClient.ts';
import { firewallCommand } from '../../../src/primary/cli/firewall.ts';
import { hostsCommand } from '../../../src/primary/cli/hosts.ts';
import { lighthouseCommand } from '../../../src/primary/cli/lighthouse.ts';
import { metricsCommand, statusCommand } from '../../../src/primary/cli/status.ts';
import { whyCommand } from '../../../src/primary/cli/why.ts';
import { boundaryOver, CollectingLog } from '../../support/collectingLog.ts';
import { InspectedNode } from '../inspectedNode.ts';

type Command = (argv: readonly string[], io: { stdout: Sink; stderr: Sink }) => Promise<number>;

interface Sink {
  write(text: string): unknown;
}

describe('commands for a running node', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-inspect-'));
  const socket = join(directory, 'node.sock');
  const inbound = [{ port: 443, proto: 'tcp', group: 'staff' }];
  const node = new InspectedNode({ api: { socket }, firewall: { inbound } });
  let server: ApiServer | null = null;

  before(async () => {
    const log = new CollectingLog();
    node.connect({ name: 'lap\u001b[2Jtop', networks: ['10.0.0.2/24'], groups: ['staff'] }, '192.0.2.2:4242', 77);
    const flow = { local: '10.0.0.1', remote: '10.0.0.2', protocol: 6, localPort: 443, remotePort: 50_000 };
    node.addFlow({ ...flow, incoming: true, rule: 0 });
    server = await openApi(node, log, boundaryOver(log));
  });
  after(async () => {
    await server?.close();
    rmSync(directory, { recursive: true });
  });

  async function run(
    command: Command,
    ...argv: readonly string[]
  ): Promise<{ code: number; out: string; err: string }> {
    let [out, err] = ['', ''];
    const stdout = { write: (text: string) => (out += text) };
    const stderr = { write: (text: string) => (err += text) };
    const code = await command(argv, { stdout, stderr });
    return { code, out, err };
  }

  const ask = (command: Command, ...argv: readonly string[]) => run(command, ...argv, '-socket', socket);

  it('say that a node is degraded, with the reasons, and fail then', async () => {
    expect((await ask(statusCommand)).out).to.match(/^state +ok$/m);
    node.health.push({ kind: 'configuration', text: 'a.yml:6: warning: tun.mtu: expected a number' });
    const { code, out } = await ask(statusCommand);
    expect(code).to.equal(1);
    expect(out)
      .to.match(/^state +degraded$/m)
      .and.include('degraded:\n  configuration: a.yml:6: warning: tun.mtu: expected a number\n');
    const json = await ask(statusCommand, '-json');
    expect(json.code).to.equal(1);
    expect(JSON.parse(json.out)).to.deep.include({ state: 'degraded', health: node.health });
    node.health.pop();
  });

  it('print tables', async () => {
    const status = await ask(statusCommand);
    expect(status).to.deep.include({ code: 0, err: '' });
    expect(status.out)
      .to.match(/^version +1\.2\.3$/m)
      .and.match(/^ +1 +starting +3$/m);
    expect((await ask(hostsCommand)).out).to.match(/10\.0\.0\.2 +\* +lap\?\[2Jtop +staff +192\.0\.2\.2:4242 +77 /);
    expect((await ask(firewallCommand, 'rules')).out).to.match(
      /inbound +0 +0 +port: 443, proto: tcp, group: staff\n1 rules/,
    );
    expect((await ask(firewallCommand, 'flows')).out).to.match(
      /tcp +10\.0\.0\.1:443 +10\.0\.0\.2:50000 +incoming +1m0s +0/,
    );
    expect((await ask(lighthouseCommand, 'list')).out).to.match(/10\.0\.0\.2 +192\.0\.2\.2:4242[\s\S]*no lighthouse/);
    expect((await ask(metricsCommand, 'udp.')).out)
      .to.match(/^gauge +value\n/)
      .and.match(/udp\.0\.drops +9\n/);
    expect((await ask(metricsCommand, 'nothing.')).out).to.match(/nothing counted/);
  });

  it('print JSON with -json or --json, before or behind the words', async () => {
    expect(JSON.parse((await ask(statusCommand, '--json')).out)).to.deep.include({ version: '1.2.3' });
    const why = ['10.0.0.2', '10.0.0.1', 'tcp', '443'];
    const before = await ask(whyCommand, '-json', ...why);
    expect(JSON.parse(before.out)).to.deep.include({ outcome: 'allowed' });
    expect((await ask(whyCommand, ...why, '--json')).out).to.equal(before.out);
  });

  it('explain a packet, and exit with 1 when it does not pass', async () => {
    const allowed = await ask(whyCommand, '10.0.0.2', '10.0.0.1', 'tcp', '50000:443');
    expect(allowed.code).to.equal(0);
    expect(allowed.out).to.match(/verdict +allowed: allowed by the conntrack table/);
    expect(allowed.out).to.match(/conntrack +incoming flow opened by worker 0, let in by firewall.inbound rule #0/);
    const refused = await ask(whyCommand, '10.0.0.2', '10.0.0.1', 'udp', '443');
    expect(refused.code).to.equal(1);
    expect(refused.out)
      .to.match(/verdict +refused \(drop\): no matching rule/)
      .and.match(/FAIL proto: udp, wanted tcp/);
  });

  it('name the flows that a new configuration would cut, and exit with 1 then', async () => {
    const path = join(directory, 'new.yml');
    const write = (rules: readonly unknown[]): void =>
      writeFileSync(
        path,
        JSON.stringify({ pki: { ca: 'a', cert: 'b', key: 'c' }, api: { socket }, firewall: { inbound: rules } }),
      );
    write([...inbound, { port: 80, proto: 'tcp', host: 'any' }]);
    expect(await run(firewallCommand, 'diff', '-config', path)).to.deep.include({
      code: 0,
      out: '0 of 1 live flows would be cut\n',
    });
    write([]);
    const cut = await ask(firewallCommand, 'diff', '-config', path);
    expect(cut.code).to.equal(1);
    expect(cut.out).to.match(/tcp +10\.0\.0\.1:443 +10\.0\.0\.2:50000 +incoming +refused\n1 of 1 live/);
    writeFileSync(path, 'listen: 7');
    expect(await ask(firewallCommand, 'diff', '-config', path)).to.deep.include({ code: 1, out: '' });
  });

  it('say what is wrong with their use, and exit with 2', async () => {
    for (const [command, ...argv] of [
      [statusCommand, 'x'],
      [statusCommand, '-colour'],
      [whyCommand, '10.0.0.1', '10.0.0.2'],
      [whyCommand, '10.0.0.1', '10.0.0.2', 'tcp', 'https'],
      [whyCommand, '10.0.0.1', '10.0.0.2', 'icmp', '1:2'],
      [firewallCommand],
      [firewallCommand, 'ruels'],
      [firewallCommand, 'diff'],
      [lighthouseCommand, 'query'],
    ] as readonly (readonly [Command, ...string[]])[]) {
      const done = await run(command, ...argv);
      expect(done.code, argv.join(' ')).to.equal(2);
      expect(done.err).to.include('Usage:');
    }
  });

  it('explain themselves', async () => {
    for (const [command, ...argv] of [
      [statusCommand],
      [metricsCommand],
      [hostsCommand],
      [whyCommand],
      [firewallCommand],
      [firewallCommand, 'flows'],
      [lighthouseCommand, 'list'],
    ] as readonly (readonly [Command, ...string[]])[]) {
      const done = await run(command, ...argv, '-h');
      expect(done).to.deep.include({ code: 0, err: '' });
      expect(done.out).to.match(/^Usage:/);
    }
    expect((await run(firewallCommand, 'flows', '-h')).out)
      .to.include('-direction string')
      .and.include('-socket string');
  });

  it('pass on what the node refuses, and say when there is none', async () => {
    const refused = await ask(whyCommand, '10.0.0.1', 'laptop', 'tcp');
    expect(refused).to.deep.include({ code: 1, out: '' });
    expect(refused.err).to.match(/destination: expected an IPv4 or IPv6 address, not "laptop"/);
    const none = await run(statusCommand, '-socket', join(directory, 'none.sock'));
    expect(none.code).to.equal(1);
    expect(none.err).to.match(/^no node answers at .*none\.sock/);
  });

  it('find the only socket by themselves', () => {
    expect(chooseSocket('', directory)).to.equal(socket);
    expect(chooseSocket('/x.sock', directory)).to.equal('/x.sock');
    expect(() => chooseSocket('', join(directory, 'nowhere'))).to.throw(ApiClientError, /no node runs/);
  });
});
