/**
 * A man in the middle: carries the datagrams of two nodes, of which each takes him for the other, and knows no key.
 *
 *   middleProgram LEFT-NODE LEFT-SELF RIGHT-NODE RIGHT-SELF PLAN
 *
 * The first four are IPv4 addresses; everybody has port 4242, and he a second socket on each side at another port, which
 * is the stranger's. SIGUSR1: attacks the nodes named in the plan as often as it says, in turns with a forged first
 * message from where the peer is and from elsewhere, a replayed one from elsewhere, and a recv_error in the peer's name;
 * prints `attacked` and a count at the end. SIGUSR2: from now on, handshakes come late, twice and in any order.
 */
import { createSocket, type Socket } from 'node:dgram';
import { HEADER_BYTES, headerRemoteIndex, headerType, MessageType, writeHeader } from '../../src/shared/wire/header.ts';
import { forgeRequest, isHandshake, isRequest } from '../support/forgedHandshakes.ts';
import { Random } from '../support/random.ts';

/** What he does when told. */
export interface MiddlePlan {
  readonly victims: readonly ('left' | 'right')[];
  readonly attacks: number;
  readonly intervalMs: number;
  readonly delayMsMax: number;
}

const PORT = 4242;
const STRANGER_PORT = 666;

class Side {
  readonly node: string;
  readonly self: Socket;
  readonly stranger: Socket;
  /** The last first message that came from the node, and the index in its last packet to its peer. */
  request: Uint8Array | null = null;
  peerIndex = 0;

  constructor(node: string, address: string) {
    this.node = node;
    this.self = createSocket('udp4').bind(PORT, address);
    this.stranger = createSocket('udp4').bind(STRANGER_PORT, address);
  }
}

const [leftNode, leftSelf, rightNode, rightSelf, planText] = process.argv.slice(2);
const plan: MiddlePlan = JSON.parse(planText);
const left = new Side(leftNode, leftSelf);
const right = new Side(rightNode, rightSelf);
const random = new Random(plan.attacks);
let isLate = false;

function carry(from: Side, to: Side): void {
  from.self.on('message', (datagram: Uint8Array) => {
    if (isRequest(datagram)) {
      from.request = new Uint8Array(datagram);
    } else if (datagram.length > HEADER_BYTES && headerType(datagram, 0) === MessageType.Message) {
      from.peerIndex = headerRemoteIndex(new DataView(datagram.buffer, datagram.byteOffset), 0);
    }
    const copies = isLate && isHandshake(datagram) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (copies === 1) {
        to.self.send(datagram, PORT, to.node);
      } else {
        setTimeout(() => to.self.send(datagram, PORT, to.node), random.below(plan.delayMsMax));
      }
    }
  });
}

function attack(victim: Side, peer: Side, round: number): void {
  const { request } = peer;
  if (request === null) {
    throw new Error('the peer has not called yet');
  }
  switch (round % 4) {
    case 0:
      victim.self.send(forgeRequest(request, random), PORT, victim.node);
      break;
    case 1:
      victim.stranger.send(forgeRequest(request, random), PORT, victim.node);
      break;
    case 2:
      victim.stranger.send(request, PORT, victim.node);
      break;
    default: {
      const recvError = new Uint8Array(HEADER_BYTES);
      writeHeader(new DataView(recvError.buffer), 0, MessageType.RecvError, 0, 0, victim.peerIndex, 0, 0);
      victim.self.send(recvError, PORT, victim.node);
    }
  }
}

carry(left, right);
carry(right, left);
process.on('SIGUSR1', () => {
  let round = 0;
  const timer = setInterval(() => {
    for (const name of plan.victims) {
      attack(name === 'left' ? left : right, name === 'left' ? right : left, round);
    }
    if (++round === plan.attacks) {
      clearInterval(timer);
      console.log(`attacked ${round}`);
    }
  }, plan.intervalMs);
});
process.on('SIGUSR2', () => {
  isLate = true;
  console.log('late');
});
console.log('in the middle');
