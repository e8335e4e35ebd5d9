/**
 * One queue's data plane, put together: ports on the inherited descriptors, the outbound and inbound paths, the loop.
 *
 * Parts that live as long as the process are built once; what the configuration decides (routes, rules, labels) is built
 * from the settings and replaced as a whole on reload, between two turns.
 */
import { parseCertificate } from '../shared/cert/parse.ts';
import { Cipher } from '../shared/crypto/aead.ts';
import { loadProvider, type ProviderName } from '../shared/crypto/providers.ts';
import { OwnIdentity } from '../shared/firewall/identity.ts';
import { compileRules } from '../shared/firewall/ruleTable.ts';
import { parsePrefix } from '../shared/ip/address.ts';
import { networkWords } from '../shared/ip/networkWords.ts';
import { PacketTuple } from '../shared/ip/packetTuple.ts';
import type { LighthouseSettings, Punt, ToWorker, WorkerSettings } from '../shared/ipc/messages.ts';
import type { RootLogger } from '../shared/log/logger.ts';
import { openShared, type SharedTables } from '../shared/memory/layout.ts';
import { Arena } from '../shared/sys/arena.ts';
import { mapSharedMemory } from '../shared/sys/sharedMemory.ts';
import { SocketFamily } from '../shared/tunnel/socketAddress.ts';
import { TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { Deliveries } from './datapath/deliveries.ts';
import { EchoResponder } from './datapath/echoResponder.ts';
import { EndpointFilter } from './datapath/endpointFilter.ts';
import { Firewall } from './datapath/firewall.ts';
import { FlowLabel } from './datapath/flowLabel.ts';
import { Inbound, type InboundRules } from './datapath/inbound.ts';
import { LighthouseRequests } from './datapath/lighthouseRequests.ts';
import { Outbound, type OutboundRules } from './datapath/outbound.ts';
import { Peers } from './datapath/peers.ts';
import { RecvErrors } from './datapath/recvErrors.ts';
import { Rejects } from './datapath/rejects.ts';
import { Router } from './datapath/router.ts';
import { RoutineCache } from './datapath/routineCache.ts';
import { Segmenter } from './datapath/segment.ts';
import { Sender } from './datapath/sender.ts';
import { Waiting } from './datapath/waiting.ts';
import { Loop } from './loop.ts';
import { TunPort } from './ports/tunPort.ts';
import { UdpPort } from './ports/udpPort.ts';
import { Punts } from './punts.ts';

export interface QueueWorkerSurroundings {
  readonly fds: { readonly tun: number; readonly udp: number; readonly memory: number };
  readonly log: RootLogger;
  readonly report: (punts: readonly Punt[]) => void;
  readonly onFault: (error: unknown) => void;
}

/** Receive buffers, send area, tun buffers and one socket address per tunnel; pages are backed when touched. */
const ARENA_BYTES = 64 * 1024 * 1024;

/** The longest inner packet that is sealed: Nebula's own packet buffers end here. */
const INNER_BYTES_MAX = 9001;

/** What the configuration decides; replaced as a whole. */
type Rules = OutboundRules & InboundRules;

export class QueueWorker {
  readonly #surroundings: QueueWorkerSurroundings;
  readonly #tables: SharedTables;
  readonly #worker: number;
  readonly #contexts: TunnelContexts;
  readonly #punts: Punts;
  readonly #udp: UdpPort;
  readonly #arena: Arena;
  readonly #metrics: Float64Array;
  readonly #rejects: Rejects;
  readonly #cache: RoutineCache;
  readonly #lighthouse: LighthouseRequests | null;
  readonly #outbound: Outbound | null;
  readonly #inbound: Inbound;
  readonly #hasDevice: boolean;
  #rules: Rules;
  #loop: Loop | null = null;

  /** Takes the descriptors and builds everything; `run` starts it. */
  constructor(settings: WorkerSettings, surroundings: QueueWorkerSurroundings) {
    const { fds } = surroundings;
    this.#surroundings = surroundings;
    this.#worker = settings.worker;
    this.#hasDevice = settings.hasDevice;
    this.#tables = openShared(mapSharedMemory(fds.memory, settings.memoryBytes).buffer, settings.worker);
    this.#metrics = this.#tables.metrics.column(settings.worker + 1);
    const arena = new Arena(ARENA_BYTES + receiveBytes(settings));
    this.#arena = arena;
    const family = settings.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
    this.#udp = new UdpPort(arena, {
      fd: fds.udp,
      family,
      batch: settings.batch,
      offloads: settings.udpOffloads,
    });
    const aes = loadProvider(settings.aesProvider as ProviderName);
    const chacha = loadProvider(settings.chachaProvider as ProviderName);
    this.#contexts = new TunnelContexts(
      arena,
      this.#tables.tunnels,
      this.#tables.indexes,
      (cipher) => (cipher === Cipher.Aes256Gcm ? aes : chacha),
      family,
    );
    const tuple = new PacketTuple();
    const tun = this.#hasDevice
      ? new TunPort(arena, { fd: fds.tun, vnetHeader: settings.tunOffload.vnetHeader })
      : null;
    const sender = new Sender(this.#contexts, this.#udp, this.#metrics);
    this.#punts = new Punts(arena, this.#metrics, surroundings.report);
    this.#cache = new RoutineCache(settings.firewall.conntrack.routineCacheTimeoutMs);
    this.#rejects = new Rejects(arena, tun, sender, tuple, rejectActions(settings));
    this.#lighthouse =
      settings.lighthouse === null
        ? null
        : new LighthouseRequests({
            arena,
            tables: this.#tables,
            contexts: this.#contexts,
            sender,
            punts: this.#punts,
            worker: settings.worker,
            filter: endpointFilter(settings.lighthouse, settings),
          });
    this.#rules = this.#buildRules(settings);
    const common = {
      arena,
      contexts: this.#contexts,
      sender,
      punts: this.#punts,
      rejects: this.#rejects,
      metrics: this.#metrics,
    };
    this.#inbound = new Inbound(
      {
        ...common,
        udp: this.#udp,
        family,
        overlay:
          tun === null
            ? new EchoResponder(arena, sender)
            : new Deliveries(arena, tun, settings.tunOffload, this.#metrics),
      },
      this.#rules,
      tuple,
    );
    this.#outbound =
      tun === null
        ? null
        : new Outbound(
            {
              ...common,
              tun,
              waiting: new Waiting(),
              segmenter: new Segmenter(arena.bytes, arena.view, INNER_BYTES_MAX),
            },
            this.#rules,
            tuple,
          );
  }

  /** Watches the descriptors from now on. */
  run(): void {
    const { fds, onFault } = this.#surroundings;
    this.#loop = new Loop({
      worker: this.#worker,
      turns: this.#tables.turns,
      tunFd: this.#hasDevice ? fds.tun : null,
      udpFd: fds.udp,
      udp: this.#udp,
      outbound: this.#outbound,
      inbound: this.#inbound,
      punts: this.#punts,
      cache: this.#cache,
      metrics: this.#metrics,
      onFault,
    });
  }

  receive(message: Exclude<ToWorker, { type: 'start' | 'stop' }>): void {
    const loop = this.#loop;
    if (loop === null) {
      return;
    }
    switch (message.type) {
      case 'settings':
        this.#reconfigure(message.settings);
        break;
      case 'hostUp':
        loop.turn(() => {
          for (const address of message.addresses) {
            this.#outbound?.release(address, loop.nowSeconds);
          }
        });
        break;
      case 'hostFailed':
        this.#outbound?.abandon(message.address);
        break;
      case 'tunnelClosed':
        loop.turn(() => {
          this.#contexts.release(message.slot);
          this.#rules.peers.release(message.slot);
        });
        break;
      case 'tick':
        this.#tick(message.version);
        break;
    }
  }

  close(): void {
    this.#loop?.close();
  }

  #tick(version: number): void {
    const entries = this.#cache.tick(version, performance.now());
    if (entries > 0) {
      this.#surroundings.log.debug('resetting conntrack cache', { len: entries });
    }
  }

  #reconfigure(settings: WorkerSettings): void {
    this.#surroundings.log.configure(settings.log);
    this.#rejects.reconfigure(rejectActions(settings));
    if (settings.lighthouse !== null) {
      this.#lighthouse?.applyFilter(endpointFilter(settings.lighthouse, settings));
    }
    this.#rules = this.#buildRules(settings);
    this.#outbound?.reconfigure(this.#rules);
    this.#inbound.reconfigure(this.#rules);
  }

  #buildRules(settings: WorkerSettings): Rules {
    const own = new OwnIdentity(
      parseCertificate(settings.certificate, settings.certificateVersion),
      new Map(Object.entries(settings.caNames)),
    );
    const { conntrack } = settings.firewall;
    const compiled = compileRules({ ...settings.firewall, version: settings.rulesVersion });
    if (compiled.table === null) {
      throw new Error(`the primary sent rules that do not compile: ${compiled.problems.join('; ')}`);
    }
    const networks = settings.networks.flatMap((text) => parsePrefix(text) ?? []);
    return {
      router: new Router(settings, this.#tables.hosts, this.#punts),
      firewall: new Firewall({
        own,
        rules: compiled.table,
        timeouts: {
          tcpMs: conntrack.tcpTimeoutMs,
          udpMs: conntrack.udpTimeoutMs,
          defaultMs: conntrack.defaultTimeoutMs,
        },
        conntrack: this.#tables.conntrack,
        cache: this.#cache,
        counters: this.#tables.firewallCounters[this.#worker],
      }),
      peers: new Peers(this.#tables.tunnels, own),
      labels: settings.labelKey === null ? null : new FlowLabel(settings.labelKey),
      ownNetworks: networkWords(networks),
      recvErrors: new RecvErrors(this.#arena, this.#udp, this.#metrics, settings.sendRecvError),
      lighthouse: this.#lighthouse,
    };
  }
}

function rejectActions(settings: WorkerSettings): { readonly inbound: boolean; readonly outbound: boolean } {
  return {
    inbound: settings.firewall.inboundAction === 'reject',
    outbound: settings.firewall.outboundAction === 'reject',
  };
}

function endpointFilter(lighthouse: LighthouseSettings, settings: WorkerSettings): EndpointFilter {
  return new EndpointFilter({ ...lighthouse.allow, ownNetworks: settings.networks });
}

/** With receive offload every message of a batch may be 64 KiB. */
function receiveBytes(settings: WorkerSettings): number {
  return settings.batch * 65_536;
}
