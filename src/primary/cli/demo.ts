/**
 * `weft demo`: two nodes on this machine, from nothing to measured traffic in a few seconds, told in plain words.
 *
 * Everything is real: the certificates come from `weft cert`, the nodes are two `weft run` with two workers each, and the
 * network between them is a virtual cable between two namespaces (`demo/lab.ts`). Nothing of it touches the machine's own
 * network, and all of it is gone when the demo ends, fails or is interrupted.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lab, labObstacle, type Namespace, sweepLabs } from './demo/lab.ts';
import type { Program } from './demo/program.ts';
import type { TransferReport } from './demo/transferPeer.ts';

/** Runs the demo to its end. Returns the exit code: 0 when every step has worked, else 1 after saying which did not. */
export async function demo(): Promise<number> {
  const obstacle = labObstacle();
  if (obstacle !== null) {
    process.stderr.write(
      `weft demo: ${obstacle}.\nThe demo builds a small network inside this machine, which needs root: try "sudo npm run demo".\n`,
    );
    return 1;
  }
  sweepLabs();
  const lab = new Lab('demo');
  try {
    await tell(lab);
    return 0;
  } catch (error) {
    process.stderr.write(`\nweft demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    lab.close();
  }
}

interface Host {
  readonly name: string;
  readonly namespace: Namespace;
  readonly overlay: string;
  readonly underlay: string;
}

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const TRANSFER_PEER = fileURLToPath(new URL('./demo/transferPeer.js', import.meta.url));
const ROUTINES = 2;
const PORT = 4242;
const TRANSFER_PORT = 5001;
const TRANSFER_SECONDS = 3;
const START_MS = 20_000;

async function tell(lab: Lab): Promise<void> {
  say('weft joins machines into one private network: an overlay. Traffic between two machines is encrypted and goes');
  say('straight from one to the other. This demo plays two machines, "ada" and "ben", inside this one.');

  title('The network they meet on');
  const hosts = buildNetwork(lab);
  const [ada, ben] = hosts;
  say(`Two network namespaces with a virtual cable between them: ada is ${ada.underlay}, ben is ${ben.underlay}.`);
  say('This stands for the internet: weft calls it the underlay.');

  title('Who they are');
  say('A certificate authority vouches for every machine of an overlay. It signs a name and an address for each:');
  makeCertificates(lab, hosts);

  title('Two nodes start');
  say(
    `Each node reads one configuration file and starts ${ROUTINES} worker processes, one per queue of its network device.`,
  );
  const nodes = await Promise.all(hosts.map((host, index) => startNode(lab, host, hosts[1 - index])));
  for (const [index, host] of hosts.entries()) {
    say(`${host.name} is up as ${host.overlay} (process ${nodes[index].pid}).`);
  }

  title('They talk');
  say('The first packet makes the two nodes shake hands: they show their certificates and agree on keys.');
  await reportPing(lab, ada, ben);
  await reportPing(lab, ben, ada);

  title('How fast');
  say(`One TCP connection through the tunnel, ${TRANSFER_SECONDS} seconds in each direction:`);
  await reportTransfer(lab, ada, ben);
  await reportTransfer(lab, ben, ada);

  title('The end');
  await Promise.all(nodes.map(endNode));
  say('Both nodes said goodbye and ended. Namespaces, keys and certificates are removed: nothing is left.');
  say('Next: README.md shows how to run weft between real machines.');
}

function buildNetwork(lab: Lab): Host[] {
  const hosts = ['ada', 'ben'].map((name, index) => ({
    name,
    namespace: lab.namespace(name),
    overlay: `10.86.0.${index + 1}`,
    underlay: `192.0.2.${index + 1}`,
  }));
  const ports = hosts.map((host) => ({ namespace: host.namespace, addresses: [`${host.underlay}/24`] }));
  lab.cable(ports[0], ports[1]);
  return hosts;
}

function makeCertificates(lab: Lab, hosts: readonly Host[]): void {
  weftCert(lab, 'ca', '-name', 'demo authority', '-duration', '24h');
  for (const host of hosts) {
    weftCert(lab, 'sign', '-name', host.name, '-networks', `${host.overlay}/24`);
  }
}

/** Runs `weft cert` in the lab's directory and shows the command: what is seen here can be repeated by hand. */
function weftCert(lab: Lab, ...words: readonly string[]): void {
  say(`  $ weft cert ${words.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ')}`);
  execFileSync(process.execPath, [MAIN, 'cert', ...words], { cwd: lab.directory, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function startNode(lab: Lab, host: Host, peer: Host): Promise<Program> {
  const any = [{ port: 'any', proto: 'any', host: 'any' }];
  const config = {
    pki: Object.fromEntries(
      [
        ['ca', 'ca.crt'],
        ['cert', `${host.name}.crt`],
        ['key', `${host.name}.key`],
      ].map(([key, file]) => [key, join(lab.directory, file)]),
    ),
    static_host_map: { [peer.overlay]: [`${peer.underlay}:${PORT}`] },
    listen: { host: '0.0.0.0', port: PORT },
    routines: ROUTINES,
    tun: { dev: 'weft0' },
    firewall: { inbound: any, outbound: any },
  };
  const path = join(lab.directory, `${host.name}.yml`);
  writeFileSync(path, JSON.stringify(config, null, 2));
  const program = lab.start(host.namespace, [process.execPath, MAIN, 'run', '-config', path], { title: host.name });
  await program.waitForLine(/weft is up/, START_MS);
  return program;
}

async function endNode(program: Program): Promise<void> {
  const status = await program.stop();
  if (status.code !== 0) {
    throw new Error(`${program.title} did not end cleanly:\n  ${program.lines.slice(-5).join('\n  ')}`);
  }
}

async function reportPing(lab: Lab, from: Host, to: Host): Promise<void> {
  const outcome = await lab.run(from.namespace, ['ping', '-n', '-c', '5', '-i', '0.2', '-W', '2', to.overlay]);
  const received = Number(/(\d+) received/.exec(outcome.stdout)?.[1] ?? 0);
  if (received !== 5) {
    throw new Error(
      `${from.name} sent 5 pings to ${to.overlay} and got ${received} answers:\n${outcome.lines.join('\n')}`,
    );
  }
  const times = [...outcome.stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  const rest = times.slice(1);
  const mean = rest.reduce((sum, time) => sum + time, 0) / rest.length;
  say(
    `${from.name} pings ${to.name} at ${to.overlay}: 5 of 5 answered, the first in ${times[0]} ms, the others in ${mean.toFixed(2)} ms.`,
  );
}

async function reportTransfer(lab: Lab, from: Host, to: Host): Promise<void> {
  const peer = [process.execPath, TRANSFER_PEER];
  const receiver = lab.start(to.namespace, [...peer, 'receive', to.overlay, String(TRANSFER_PORT)]);
  await receiver.waitForLine(/listening/);
  const words = [...peer, 'send', to.overlay, String(TRANSFER_PORT), String(TRANSFER_SECONDS)];
  await lab.run(from.namespace, words, (TRANSFER_SECONDS + 20) * 1000);
  const report = JSON.parse(await receiver.waitForLine(/^\{/)) as TransferReport;
  const megabits = (report.bytes * 8) / report.seconds / 1e6;
  say(`${from.name} → ${to.name}: ${(report.bytes / 1e6).toFixed(0)} MB, ${megabits.toFixed(0)} Mbit/s.`);
}

let titleCount = 0;

function title(text: string): void {
  say(`\n${++titleCount}. ${text}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
