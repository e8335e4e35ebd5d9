/**
 * `weft demo`: two nodes on this machine, from nothing to measured traffic in a few seconds, told in plain words.
 *
 * Everything is real: the certificates come from `weft cert`, the nodes are two `weft run` with two workers each, and the
 * network between them is a virtual cable between two namespaces (`demo/lab.ts`). Nothing of it touches the machine's own
 * network, and all of it is gone when the demo ends, fails or is interrupted.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorText } from '../../shared/log/errorText.ts';
import { Lab, labObstacle, type Namespace, sweepLabs } from './demo/lab.ts';
import type { Program } from './demo/program.ts';
import type { ProbeReport, TransferReport } from './demo/trafficPeer.ts';
import { parseFlags } from './flags.ts';
import type { Io } from './usage.ts';

/** `weft demo`. Exit code 0: every step has worked; 1: one has not, or cannot here, and the text says which; 2: wrong arguments. */
export async function demoCommand(argv: readonly string[], io: Io): Promise<number> {
  const flags = parseFlags({}, argv);
  if (flags.kind === 'help') {
    io.stdout.write(
      'weft demo: builds two nodes in network namespaces of this machine, shows them talking, cleans up.\n',
    );
    return 0;
  }
  if (flags.kind === 'error' || flags.rest.length > 0) {
    io.stderr.write('weft demo takes no arguments.\n');
    return 2;
  }
  const obstacle = labObstacle();
  if (obstacle !== null) {
    io.stderr.write(
      `weft demo: ${obstacle}.\nIt builds a small network inside this machine, which takes root and a kernel that lets it.\n`,
    );
    return 1;
  }
  sweepLabs();
  leaveNoDeviceNode();
  const lab = new Lab('demo');
  try {
    await new Story(lab, io).tell();
    return 0;
  } catch (error) {
    io.stderr.write(`\nweft demo: ${errorText(error)}\n`);
    return 1;
  } finally {
    lab.close();
  }
}

/** The nodes make /dev/net/tun where it is missing; what was not there before goes when this process ends. */
function leaveNoDeviceNode(): void {
  if (existsSync(TUN_DEVICE)) {
    return;
  }
  process.once('exit', () => {
    rmSync(TUN_DEVICE, { force: true });
    try {
      rmdirSync(dirname(TUN_DEVICE));
    } catch {
      // Something else is in it.
    }
  });
}

interface Host {
  readonly name: string;
  readonly namespace: Namespace;
  readonly overlay: string;
  readonly underlay: string;
}

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const TRAFFIC_PEER = fileURLToPath(new URL('./demo/trafficPeer.js', import.meta.url));
const TUN_DEVICE = '/dev/net/tun';
const ROUTINES = 2;
const PORT = 4242;
const TRANSFER_PORT = 5001;
const TRANSFER_SECONDS = 3;
const PROBE_PORT = 5002;
const PROBES = 5;
const START_MS = 20_000;

class Story {
  readonly #lab: Lab;
  readonly #io: Io;
  #titleCount = 0;

  constructor(lab: Lab, io: Io) {
    this.#lab = lab;
    this.#io = io;
  }

  async tell(): Promise<void> {
    this.#say(
      'weft joins machines into one private network: an overlay. Traffic between two machines is encrypted and goes',
    );
    this.#say('straight from one to the other. This demo plays two machines, "ada" and "ben", inside this one.');

    this.#title('The network they meet on');
    const hosts = this.#buildNetwork();
    const [ada, ben] = hosts;
    this.#say(
      `Two network namespaces with a virtual cable between them: ada is ${ada.underlay}, ben is ${ben.underlay}.`,
    );
    this.#say('This stands for the internet: weft calls it the underlay.');

    this.#title('Who they are');
    this.#say(
      'A certificate authority vouches for every machine of an overlay. It signs a name and an address for each:',
    );
    this.#makeCertificates(hosts);

    this.#title('Two nodes start');
    this.#say(
      `Each node reads one configuration file and starts ${ROUTINES} worker processes, one per queue of its network device.`,
    );
    const nodes = await Promise.all(hosts.map((host, index) => this.#startNode(host, hosts[1 - index])));
    for (const [index, host] of hosts.entries()) {
      this.#say(`${host.name} is up as ${host.overlay} (process ${nodes[index].pid}).`);
    }

    this.#title('They talk');
    this.#say('The first packet makes the two nodes shake hands: they show their certificates and agree on keys.');
    await this.#reportProbes(ada, ben);
    await this.#reportProbes(ben, ada);

    this.#title('How fast');
    this.#say(`One TCP connection through the tunnel, ${TRANSFER_SECONDS} seconds in each direction:`);
    await this.#reportTransfer(ada, ben);
    await this.#reportTransfer(ben, ada);

    this.#title('The end');
    await Promise.all(nodes.map((node) => this.#endNode(node)));
    this.#say('Both nodes said goodbye and ended. Namespaces, keys and certificates are removed: nothing is left.');
    this.#say('Next: README.md shows how to run weft between real machines.');
  }

  #buildNetwork(): Host[] {
    const hosts = ['ada', 'ben'].map((name, index) => ({
      name,
      namespace: this.#lab.namespace(name),
      overlay: `10.86.0.${index + 1}`,
      underlay: `192.0.2.${index + 1}`,
    }));
    const ports = hosts.map((host) => ({ namespace: host.namespace, addresses: [`${host.underlay}/24`] }));
    this.#lab.cable(ports[0], ports[1]);
    return hosts;
  }

  #makeCertificates(hosts: readonly Host[]): void {
    this.#weftCert('ca', '-name', 'demo authority', '-duration', '24h');
    for (const host of hosts) {
      this.#weftCert('sign', '-name', host.name, '-networks', `${host.overlay}/24`);
    }
  }

  /** Runs `weft cert` in the lab's directory and shows the command: what is seen here can be repeated by hand. */
  #weftCert(...words: readonly string[]): void {
    this.#say(`  $ weft cert ${words.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ')}`);
    execFileSync(process.execPath, [MAIN, 'cert', ...words], {
      cwd: this.#lab.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async #startNode(host: Host, peer: Host): Promise<Program> {
    const any = [{ port: 'any', proto: 'any', host: 'any' }];
    const config = {
      pki: Object.fromEntries(
        [
          ['ca', 'ca.crt'],
          ['cert', `${host.name}.crt`],
          ['key', `${host.name}.key`],
        ].map(([key, file]) => [key, join(this.#lab.directory, file)]),
      ),
      static_host_map: { [peer.overlay]: [`${peer.underlay}:${PORT}`] },
      listen: { host: '0.0.0.0', port: PORT },
      routines: ROUTINES,
      tun: { dev: 'weft0' },
      api: { socket: join(this.#lab.directory, `${host.name}.sock`) },
      firewall: { inbound: any, outbound: any },
    };
    const path = join(this.#lab.directory, `${host.name}.yml`);
    writeFileSync(path, JSON.stringify(config, null, 2));
    const program = this.#lab.start(host.namespace, [process.execPath, MAIN, 'run', '-config', path], {
      title: host.name,
      // What nodes keep from one start to the next goes with the lab.
      env: { ...process.env, RUNTIME_DIRECTORY: this.#lab.directory },
    });
    await program.waitForLine(/weft is up/, START_MS);
    return program;
  }

  async #endNode(program: Program): Promise<void> {
    const status = await program.stop();
    if (status.code !== 0) {
      throw new Error(`${program.title} did not end cleanly:\n  ${program.lines.slice(-5).join('\n  ')}`);
    }
  }

  async #reportProbes(from: Host, to: Host): Promise<void> {
    const peer = [process.execPath, TRAFFIC_PEER];
    const answering = this.#lab.start(to.namespace, [...peer, 'echo', to.overlay, String(PROBE_PORT)]);
    await answering.waitForLine(/listening/);
    const words = [...peer, 'probe', to.overlay, String(PROBE_PORT), String(PROBES)];
    const outcome = await this.#lab.run(from.namespace, words);
    await answering.stop();
    const report = outcome.lines.find((line) => line.startsWith('{'));
    const times = report === undefined ? [] : (JSON.parse(report) as ProbeReport).times;
    if (times.length !== PROBES) {
      const heard = `${times.length} answers:\n${outcome.lines.join('\n')}`;
      throw new Error(`${from.name} sent ${PROBES} probes to ${to.overlay} and got ${heard}`);
    }
    const rest = times.slice(1);
    const mean = rest.reduce((sum, time) => sum + time, 0) / rest.length;
    this.#say(
      `${from.name} probes ${to.name} at ${to.overlay}: ${PROBES} of ${PROBES} answered, the first in ` +
        `${times[0].toFixed(1)} ms, the others in ${mean.toFixed(2)} ms.`,
    );
  }

  async #reportTransfer(from: Host, to: Host): Promise<void> {
    const peer = [process.execPath, TRAFFIC_PEER];
    const receiver = this.#lab.start(to.namespace, [...peer, 'receive', to.overlay, String(TRANSFER_PORT)]);
    await receiver.waitForLine(/listening/);
    const words = [...peer, 'send', to.overlay, String(TRANSFER_PORT), String(TRANSFER_SECONDS)];
    await this.#lab.run(from.namespace, words, (TRANSFER_SECONDS + 20) * 1000);
    const report = JSON.parse(await receiver.waitForLine(/^\{/)) as TransferReport;
    const megabits = (report.bytes * 8) / report.seconds / 1e6;
    this.#say(`${from.name} → ${to.name}: ${(report.bytes / 1e6).toFixed(0)} MB, ${megabits.toFixed(0)} Mbit/s.`);
  }

  #title(text: string): void {
    this.#say(`\n${++this.#titleCount}. ${text}`);
  }

  #say(text: string): void {
    this.#io.stdout.write(`${text}\n`);
  }
}
