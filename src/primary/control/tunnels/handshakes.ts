/**
 * The handshakes that this node has started and that nobody has answered yet: one per vpn address, retried on timers
 * with the same bytes to every known endpoint until it completes or the attempts are used up.
 *
 *   start ─▶ pending ─(attempt n, then wait n × interval)─▶ ... ─▶ answer ─▶ tunnel
 *                 │                      ▲            └─▶ wrong host: goodbye, that endpoint is left out from now on
 *                 │                      └────────────────┴─▶ an answer that is refused, by whomever: goes on waiting
 *                 ├─▶ retries used up: given up, waiting packets are dropped
 *                 ├─▶ the host's own handshake is confirmed before anything was sent: not needed any more
 *
 * (Nebula protocol: outbound handshake, initiator path.) Answering others' handshakes is `handshakeAnswers.ts`.
 */

import { generateKeyPair, PRIVATE_KEY_BYTES } from '../../../shared/crypto/dh.ts';
import { type Endpoint, endpointOf, type IpAddress } from '../../../shared/ip/address.ts';
import type { Whereabouts } from '../discovery/whereabouts.ts';
import type { LogFields } from '../effects.ts';
import { type Now, unixSecondsOf } from '../now.ts';
import { Timers } from '../timers.ts';
import type { Context } from './context.ts';
import { type CompletedHandshake, HandshakeFault, Initiator } from './handshakeMachine.ts';
import { AnswerFault } from './hostTroubles.ts';
import { peerFields } from './peerFields.ts';
import { PendingHandshake, type PendingView, type StartedHandshake } from './pendingHandshake.ts';
import { troubleTexts } from './troubleTexts.ts';
import type { Tunnels } from './tunnels.ts';

/** More destinations than this are not tried at once: a scan through an overlay network must not eat the memory. */
export const PENDING_MAX = 4096;

/** Hosts that answer for another one are said goodbye to, but not as many as somebody can make up. */
const STRANGERS_MAX = 8;

export class Handshakes {
  readonly #context: Context;
  readonly #tunnels: Tunnels;
  readonly #whereabouts: Whereabouts;
  readonly #timers = new Timers<PendingHandshake>();
  readonly #byAddress = new Map<string, PendingHandshake>();
  readonly #byIndex = new Map<number, PendingHandshake>();

  constructor(context: Context, tunnels: Tunnels, whereabouts: Whereabouts) {
    this.#context = context;
    this.#tunnels = tunnels;
    this.#whereabouts = whereabouts;
  }

  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  isPending(address: IpAddress): boolean {
    return this.#byAddress.has(address.text);
  }

  list(): readonly PendingView[] {
    return [...this.#byAddress.values()].map((pending) => pending.view());
  }

  /**
   * Starts a handshake with the host that has this vpn address, unless one is under way. Known endpoints are tried at
   * once, the lighthouses are asked for more. `version` overrides which of our certificates is shown.
   */
  start(now: Now, address: IpAddress, version: 1 | 2 | null = null): void {
    const { outbox, settings } = this.#context;
    if (this.isPending(address) || this.#context.isOwnAddress(address)) {
      return;
    }
    if (this.#byAddress.size >= PENDING_MAX) {
      outbox.count('handshake_manager.refused');
      this.#fail(address);
      return;
    }
    const pending = new PendingHandshake(address, version, now.ms, settings.handshakes);
    this.#byAddress.set(address.text, pending);
    outbox.count('handshake_manager.initiated');
    this.#whereabouts.query(now, address);
    this.#schedule(pending, now.ms + pending.tryIntervalMs);
    // The host may have called and be a round trip from a tunnel; or it was not the host, so this waits once and briefly.
    if (!this.#tunnels.unconfirmed.isExpected(address, now.ms - pending.tryIntervalMs)) {
      this.trigger(now, address);
    }
  }

  /** The address may have new endpoints: if a handshake waits for it and they differ from the last ones, tries now. */
  trigger(now: Now, address: IpAddress): void {
    const pending = this.#byAddress.get(address.text);
    if (pending?.mayTryAgain !== true) {
      return;
    }
    if (keyOf(this.#endpointsOf(pending)) !== pending.triedKey) {
      this.#attempt(now, pending);
    }
  }

  /** The peer has forgotten our tunnel, so it is alive: starts now, or does not wait for the next attempt. */
  hurry(now: Now, address: IpAddress): void {
    const pending = this.#byAddress.get(address.text);
    if (pending === undefined) {
      this.start(now, address);
    } else if (pending.mayTryAgain) {
      this.#attempt(now, pending);
    }
  }

  /** A tunnel to these addresses is up that the host started: what has not been sent yet need not be. */
  withdraw(addresses: readonly IpAddress[]): void {
    for (const { text } of addresses) {
      const pending = this.#byAddress.get(text);
      if (pending?.triedKey === '') {
        this.#remove(pending);
        this.#releaseIndex(pending);
      }
    }
  }

  onTimer(now: Now): void {
    for (let job = this.#timers.takeDue(now.ms); job !== null; job = this.#timers.takeDue(now.ms)) {
      job.timer = 0;
      if (job.attemptCount >= job.retries) {
        this.#timeOut(now, job);
      } else {
        this.#attempt(now, job);
        this.#schedule(job, now.ms + job.attemptCount * job.tryIntervalMs);
      }
    }
  }

  /** Takes a message 2 for one of our indexes; anything that does not fit is dropped and counted. */
  onAnswer(now: Now, packet: Uint8Array, localIndex: number, from: Endpoint): void {
    const { outbox, remoteFilter, identity, troubles } = this.#context;
    const pending = this.#byIndex.get(localIndex);
    const initiator = pending?.initiator ?? null;
    if (pending === undefined || initiator === null) {
      outbox.count('handshakes.rejected.unknown_index');
      return;
    }
    if (!remoteFilter.allowsAll([pending.address], from.address)) {
      outbox.count('handshakes.rejected.remote_not_allowed');
      return;
    }
    const result = initiator.machine.finish(packet, identity.caPool, unixSecondsOf(now));
    if ('fault' in result) {
      outbox.count(`handshakes.rejected.${result.fault}`);
      const fields = { from: from.text, vpnAddrs: [pending.address.text], error: result.detail };
      const isUnreadable = result.fault === HandshakeFault.Unreadable;
      const fault = isUnreadable ? AnswerFault.Unreadable : AnswerFault.Refused;
      troubles.answerRefused(now, pending.address, from, fault, result.detail);
      if (isUnreadable) {
        outbox.log('debug', 'Handshake answer could not be read', fields);
      } else {
        outbox.log('warn', 'Handshake failed', fields);
      }
    } else if (this.#isRightHost(now, pending, result, from)) {
      this.#complete(now, pending, result, from);
    } else {
      initiator.machine.reopen();
    }
  }

  /** Forgets all pending handshakes: the node stops. */
  clear(): void {
    for (const pending of [...this.#byAddress.values()]) {
      this.#remove(pending);
      this.#releaseIndex(pending);
    }
  }

  #isRightHost(now: Now, pending: PendingHandshake, handshake: CompletedHandshake, from: Endpoint): boolean {
    const { outbox } = this.#context;
    const addresses = handshake.peer.certificate.networks.map((network) => network.address);
    if (addresses.some((address) => this.#context.isOwnAddress(address))) {
      outbox.count('handshakes.rejected.own_address');
      outbox.log('error', 'Refusing to handshake with myself', handshakeFields(handshake, from));
      this.#context.troubles.answerRefused(now, pending.address, from, AnswerFault.Self, '');
      return false;
    }
    if (!addresses.some((address) => address.text === pending.address.text)) {
      this.#refuseWrongHost(now, pending, handshake, from);
      return false;
    }
    return true;
  }

  #complete(now: Now, pending: PendingHandshake, handshake: CompletedHandshake, from: Endpoint): void {
    const { outbox } = this.#context;
    this.#remove(pending);
    const durationMs = now.ms - pending.startedMs;
    const durationNs = nanoseconds(durationMs);
    const fields = { ...handshakeFields(handshake, from), handshake: STAGE_2, durationNs };
    outbox.log('info', 'Handshake message received', fields);
    outbox.count('handshakes.completed');
    outbox.push({ kind: 'handshakeTook', durationMs });
    // This machine called, from an address of the kernel's choice, and goes on so when the kernel chooses another one.
    if (this.#tunnels.establish(now, handshake, endpointOf(from.address, from.port)) === null) {
      this.#fail(pending.address);
    }
  }

  /**
   * Somebody else lives at that endpoint, or was sent our message by somebody on the path: says goodbye, and asks the
   * other endpoints only, for as long as this handshake lasts.
   */
  #refuseWrongHost(now: Now, pending: PendingHandshake, handshake: CompletedHandshake, from: Endpoint): void {
    const { outbox, remotes, localIndexes, troubles } = this.#context;
    const fields = { ...handshakeFields(handshake, from), wanted: pending.address.text };
    outbox.count('handshakes.rejected.wrong_host');
    outbox.log('info', 'Incorrect host responded to handshake', fields);
    remotes.block(pending.address, from);
    const { fingerprint, name, networks } = handshake.peer.certificate;
    const who = `"${name}" (${networks.map(({ address }) => address.text).join(', ')})`;
    troubles.answerRefused(now, pending.address, from, AnswerFault.Stranger, who);
    const isNew = !pending.strangers.has(fingerprint) && pending.strangers.size < STRANGERS_MAX;
    // The handshake goes on with its own.
    const localIndex = isNew ? localIndexes.draw() : null;
    if (localIndex !== null) {
      pending.strangers.add(fingerprint);
      this.#tunnels.dismiss({ ...handshake, localIndex }, from);
    }
  }

  #attempt(now: Now, pending: PendingHandshake): void {
    const { outbox } = this.#context;
    pending.attemptCount++;
    const initiator = pending.initiator ?? this.#build(now, pending);
    if (initiator === null) {
      return;
    }
    pending.endpoints = this.#endpointsOf(pending);
    this.#noteAttempt(now, pending);
    if (pending.attemptCount === REQUERY_ATTEMPT && pending.endpoints.length <= 1) {
      this.#whereabouts.query(now, pending.address);
    }
    const key = keyOf(pending.endpoints);
    const isNews = key !== pending.triedKey && pending.endpoints.length > 0;
    pending.triedKey = key;
    for (const endpoint of pending.endpoints) {
      outbox.push({ kind: 'sendDatagram', endpoint, bytes: initiator.machine.packet });
    }
    outbox.log(isNews ? 'info' : 'debug', 'Handshake message sent', {
      vpnAddrs: [pending.address.text],
      udpAddrs: pending.endpoints.map((endpoint) => endpoint.text),
      initiatorIndex: initiator.localIndex,
      handshake: STAGE_1,
      attempt: pending.attemptCount,
    });
  }

  #noteAttempt(now: Now, { address, endpoints }: PendingHandshake): void {
    const { remotes, troubles } = this.#context;
    if (endpoints.length > 0) {
      troubles.attempted(now, address, endpoints);
    } else {
      const reported = remotes.entries(address).flatMap((entry) => entry.reported);
      const forbidden = reported.filter((endpoint) => !remotes.isBlocked(address, endpoint));
      troubles.attempted(now, address, endpoints, { forbidden, relays: remotes.relays(address) });
    }
  }

  /** Message 1, built at the first attempt; null when that fails, which spends the attempt. */
  #build(now: Now, pending: PendingHandshake): StartedHandshake | null {
    const { cipher, identity, localIndexes, outbox, random } = this.#context;
    const localIndex = localIndexes.draw();
    if (localIndex === null) {
      outbox.count('handshakes.no_index');
      return null;
    }
    const ephemeralKeys = generateKeyPair(identity.curve, random(PRIVATE_KEY_BYTES));
    const fresh = { localIndex, ephemeralKeys, timeNs: this.#context.handshakeTimeNs(now) };
    const version = pending.version ?? (pending.address.family === 6 ? 2 : identity.initiatingVersion);
    const machine = Initiator.start({ identity, cipher }, version, fresh);
    if ('fault' in machine) {
      this.#context.troubles.notStarted(now, pending.address, machine.detail);
      localIndexes.release(localIndex);
      outbox.count(`handshakes.rejected.${machine.fault}`);
      outbox.log('error', 'Unable to handshake with host because no certificate is available', {
        vpnAddrs: [pending.address.text],
        error: machine.detail,
      });
      return null;
    }
    pending.initiator = { machine, localIndex };
    this.#byIndex.set(localIndex, pending);
    return pending.initiator;
  }

  /** What is known now; a list that was forgotten meanwhile with the peer's last tunnel still serves. */
  #endpointsOf(pending: PendingHandshake): readonly Endpoint[] {
    const endpoints = this.#context.remotes.list(pending.address);
    return endpoints.length > 0 ? endpoints : pending.endpoints;
  }

  #timeOut(now: Now, pending: PendingHandshake): void {
    const { outbox } = this.#context;
    outbox.count('handshake_manager.timed_out');
    const { troubles, remotes, settings } = this.#context;
    const trouble = troubles.of(pending.address.text);
    const facts = {
      troubles,
      remotes,
      amLighthouse: settings.amLighthouse,
      lighthouses: settings.lighthouses,
      hasTunnel: (address: IpAddress) => this.#tunnels.hosts.primary(address) !== null,
    };
    outbox.log('info', 'Handshake timed out', {
      vpnAddrs: [pending.address.text],
      udpAddrs: pending.endpoints.map((endpoint) => endpoint.text),
      initiatorIndex: pending.initiator?.localIndex ?? 0,
      handshake: STAGE_1,
      durationNs: nanoseconds(now.ms - pending.startedMs),
      reason: trouble === null ? '' : troubleTexts(trouble, facts, now.ms).join('; '),
    });
    this.#giveUp(pending);
  }

  /** Nothing will come of it. Packets that wait are dropped, unless another tunnel to the host has appeared. */
  #giveUp(pending: PendingHandshake): void {
    this.#remove(pending);
    this.#releaseIndex(pending);
    this.#context.remotes.unblock(pending.address);
    if (this.#tunnels.hosts.primary(pending.address) === null) {
      this.#fail(pending.address);
    }
  }

  #fail(address: IpAddress): void {
    this.#context.outbox.push({ kind: 'hostFailed', address });
    this.#whereabouts.onHostFailed(address);
  }

  /** Its local index stays taken: a tunnel may go on with it. */
  #remove(pending: PendingHandshake): void {
    this.#timers.cancel(pending.timer);
    this.#byAddress.delete(pending.address.text);
    if (pending.initiator !== null) {
      this.#byIndex.delete(pending.initiator.localIndex);
    }
  }

  #releaseIndex(pending: PendingHandshake): void {
    if (pending.initiator !== null) {
      this.#context.localIndexes.release(pending.initiator.localIndex);
    }
  }

  #schedule(pending: PendingHandshake, atMs: number): void {
    pending.timer = this.#timers.schedule(atMs, pending);
    pending.timerMs = atMs;
  }
}

function handshakeFields(handshake: CompletedHandshake, from: Endpoint): LogFields {
  return {
    ...peerFields(handshake.peer.certificate, from),
    initiatorIndex: handshake.localIndex,
    responderIndex: handshake.remoteIndex,
  };
}

/** Durations are logged as Nebula does it. */
function nanoseconds(ms: number): number {
  return Math.round(ms * 1_000_000);
}

function keyOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map((endpoint) => endpoint.text).join(' ');
}

/** The attempt that asks the lighthouses once more when there is hardly anybody to ask. */
const REQUERY_ATTEMPT = 5;
const STAGE_1 = { stage: 1, style: 'ix_psk0' } as const;
const STAGE_2 = { stage: 2, style: 'ix_psk0' } as const;
