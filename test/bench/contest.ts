/**
 * One candidate of the benchmark, running: two ends joined by a cable, an address to send to, and the processes that carry
 * the traffic. Built fresh for every turn, so that no candidate inherits anything of the one before.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { Curve } from '../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../src/shared/crypto/dh.ts';
import { type ConfigTree, type NodeKind, UNDERLAY_PORT } from '../support/nodes.ts';
import { Pair, RIGHT } from '../support/pair.ts';
import { untilReachable } from '../support/traffic.ts';
import { type CarriedCounters, countersOfDevices, countersOfNodes } from './carried.ts';

/** What runs between the two ends. */
export type Candidate =
  | { readonly kind: 'cable'; readonly name: string }
  | { readonly kind: 'wireguard-go'; readonly name: string }
  | NodeCandidate;

export interface NodeCandidate {
  readonly kind: NodeKind;
  readonly name: string;
  readonly routines: number;
  readonly config?: ConfigTree;
  /** Another program than the one `kind` stands for. */
  readonly command?: readonly string[];
}

export interface Contest {
  readonly lab: Lab;
  readonly client: Namespace;
  readonly server: Namespace;
  /** The server's address inside the tunnel. */
  readonly address: string;
  /** Processes of the tunnel at each end, the traffic generators not among them. */
  readonly clientPids: () => readonly number[];
  readonly serverPids: () => readonly number[];
  /** Opens the counters of what the two ends have carried; null where nothing between them counts. */
  readonly counters: () => CarriedCounters | null;
  /** How a host that is not one of the two reaches the server's node; null when it is no node of an overlay network. */
  readonly target: Target | null;
  /** Ends the nodes in good order, so that they can write what they keep for their end, and removes everything. */
  readonly close: () => Promise<void>;
}

export interface Target {
  readonly underlay: string;
  readonly port: number;
  /** Files of the authority that the node believes. */
  readonly caCert: string;
  readonly caKey: string;
}

/** Inside the tunnel, for every candidate alike. */
export const TUNNEL_MTU = 1300;

export async function startContest(candidate: Candidate): Promise<Contest> {
  switch (candidate.kind) {
    case 'cable':
      return startCable();
    case 'wireguard-go':
      return await startWireguard();
    default:
      return await startNodes(candidate);
  }
}

async function startNodes(candidate: NodeCandidate): Promise<Contest> {
  const { kind, routines, config = {}, command } = candidate;
  const options = { kind, routines, config, mtu: TUNNEL_MTU, ...(command === undefined ? {} : { command }) };
  const pair = new Pair({ left: options, right: options, labKind: 'bench' });
  try {
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
  } catch (error) {
    pair.close();
    throw error;
  }
  return {
    lab: pair.lab,
    client: pair.left.namespace,
    server: pair.right.namespace,
    address: RIGHT,
    clientPids: () => pair.left.allPids(),
    serverPids: () => pair.right.allPids(),
    counters: () => countersOfNodes(pair.left, pair.right),
    target: {
      underlay: '192.0.2.2',
      port: UNDERLAY_PORT,
      caCert: pair.pki.caCert,
      caKey: pair.pki.caCert.replace(/\.crt$/, '.key'),
    },
    close: async () => {
      await Promise.all([pair.left.stop(), pair.right.stop()]);
      pair.close();
    },
  };
}

function startCable(): Contest {
  const { lab, client, server } = joinedByCable();
  const close = async (): Promise<void> => lab.close();
  const counters = (): null => null;
  const pids = (): readonly number[] => [];
  return {
    lab,
    client,
    server,
    address: '192.0.2.2',
    clientPids: pids,
    serverPids: pids,
    counters,
    target: null,
    close,
  };
}

function joinedByCable(): { readonly lab: Lab; readonly client: Namespace; readonly server: Namespace } {
  const lab = new Lab('bench');
  const [client, server] = [lab.namespace('left'), lab.namespace('right')];
  lab.cable({ namespace: client, addresses: ['192.0.2.1/24'] }, { namespace: server, addresses: ['192.0.2.2/24'] });
  return { lab, client, server };
}

async function startWireguard(): Promise<Contest> {
  const { lab, client, server } = joinedByCable();
  try {
    const keys = [0, 1].map(() => generateKeyPair(Curve.Curve25519, randomBytes(32)));
    const ends = [client, server].map((namespace, index) => ({
      namespace,
      device: `wg${process.pid}${'ab'[index]}`,
      own: keys[index],
      peer: keys[1 - index],
      overlay: `10.86.0.${index + 1}`,
      peerOverlay: `10.86.0.${2 - index}`,
      peerEndpoint: `192.0.2.${2 - index}:51820`,
    }));
    const programs = await Promise.all(
      ends.map(async (end) => {
        const program = lab.start(end.namespace, ['wireguard-go', '-f', end.device]);
        const socket = `/var/run/wireguard/${end.device}.sock`;
        await until(`wireguard-go to open ${socket}`, () => configureWireguard(socket, wireguardSettings(end)));
        const ip = ['ip', 'address', 'add', `${end.overlay}/24`, 'dev', end.device];
        await lab.run(end.namespace, ip);
        await lab.run(end.namespace, ['ip', 'link', 'set', end.device, 'mtu', String(TUNNEL_MTU), 'up']);
        return program;
      }),
    );
    await untilReachable(lab, client, ends[1].overlay);
    const close = async (): Promise<void> => {
      await Promise.all(programs.map((program) => program.stop()));
      lab.close();
    };
    const [clientPids, serverPids] = programs.map((program) => () => [program.pid]);
    const [first, second] = programs.map(({ pid }, index) => [pid, ends[index].device] as const);
    const counters = (): CarriedCounters => countersOfDevices(first, second);
    return { lab, client, server, address: ends[1].overlay, clientPids, serverPids, counters, target: null, close };
  } catch (error) {
    lab.close();
    throw error;
  }
}

interface WireguardEnd {
  readonly own: { readonly privateKey: Uint8Array };
  readonly peer: { readonly publicKey: Uint8Array };
  readonly peerOverlay: string;
  readonly peerEndpoint: string;
}

function wireguardSettings(end: WireguardEnd): string {
  return [
    `private_key=${Buffer.from(end.own.privateKey).toString('hex')}`,
    'listen_port=51820',
    `public_key=${Buffer.from(end.peer.publicKey).toString('hex')}`,
    `endpoint=${end.peerEndpoint}`,
    `allowed_ip=${end.peerOverlay}/32`,
  ].join('\n');
}

/** Speaks WireGuard's cross-platform userspace protocol; false while nobody listens on the socket yet. */
function configureWireguard(path: string, settings: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path, () => socket.write(`set=1\n${settings}\n\n`));
    socket.on('error', () => resolve(false));
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (answer.includes('\n\n')) {
        socket.destroy();
        if (answer.includes('errno=0')) {
          resolve(true);
        } else {
          reject(new Error(`wireguard-go refused its settings: ${answer.trim()}`));
        }
      }
    });
  });
}
