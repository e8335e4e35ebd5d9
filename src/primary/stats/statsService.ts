/**
 * Statistics as the configuration wants them: nothing, a text for Prometheus, or lines to Graphite; and as a reload wants
 * them afterwards. Reads shared counters between two events of the primary and keeps nobody waiting: what cannot be had
 * (a port, a connection) is logged a few times and tried again at every interval, and the node goes on without it.
 *
 * Nebula's metrics are values of the last interval, as with Nebula; the modern ones are taken when they are asked for, at
 * most once a second, whoever asks.
 */
import { errorText } from '../../shared/log/errorText.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { RateLimit } from '../../shared/log/rateLimit.ts';
import type { Boundary } from '../boundary.ts';
import type { StatsConfig } from '../config/config.ts';
import { statsEndpoint } from '../config/keysOfStats.ts';
import { FirewallInspection } from '../inspection/firewall.ts';
import { metricList } from '../inspection/metrics.ts';
import type { NodeView } from '../inspection/nodeView.ts';
import { counterFamilies } from './counterFamilies.ts';
import { expositionOf, type MetricFamily } from './exposition.ts';
import { sendToGraphite } from './graphiteSender.ts';
import { MetricsServer } from './metricsServer.ts';
import { type NebulaMetric, nebulaMetrics } from './nebulaMetrics.ts';
import { graphiteText, nebulaFamilies } from './nebulaText.ts';
import { nodeFamilies, peerFamilies } from './nodeFamilies.ts';

/** A text for Prometheus is made no more often than this. */
const FRESH_MS = 1_000;
/** An attempt to send may take no longer, nor longer than the interval. */
const PATIENCE_MS = 5_000;
/** Failures in a row that are logged at once; then one every five minutes. */
const LINES_AT_ONCE = 3;
const LINES_PER_SECOND = 1 / 300;
/** Node's timers end at 2^31 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class StatsService {
  readonly #view: NodeView;
  readonly #firewall: FirewallInspection;
  readonly #log: Logger;
  readonly #boundary: Boundary;
  #settings: StatsConfig | null = null;
  #timer: NodeJS.Timeout | null = null;
  #server: MetricsServer | null = null;
  #families: readonly MetricFamily[] = [];
  #text = { value: '', madeMs: Number.NEGATIVE_INFINITY };
  #isBusy = false;
  #failures = new RateLimit(LINES_AT_ONCE, LINES_PER_SECOND);
  /** Changes one after the other, however fast they are asked for. */
  #work: Promise<void> = Promise.resolve();

  constructor(view: NodeView, log: Logger, boundary: Boundary) {
    this.#view = view;
    this.#firewall = new FirewallInspection(view);
    this.#log = log;
    this.#boundary = boundary;
  }

  /** The port that Prometheus is answered on; 0: none. */
  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** Ends what there is and begins what is wanted; resolves when that has been tried. Never rejects. */
  apply(settings: StatsConfig): Promise<void> {
    this.#work = this.#work.then(() => this.#boundary.guardAsync('stats', () => this.#change(settings)));
    return this.#work;
  }

  close(): Promise<void> {
    this.#work = this.#work.then(() => this.#boundary.guardAsync('stats', () => this.#end()));
    return this.#work;
  }

  async #change(settings: StatsConfig): Promise<void> {
    await this.#end();
    if (settings.type !== 'graphite' && settings.type !== 'prometheus') {
      return;
    }
    this.#settings = settings;
    this.#text = { value: '', madeMs: Number.NEGATIVE_INFINITY };
    this.#failures = new RateLimit(LINES_AT_ONCE, LINES_PER_SECOND);
    const turn = (): Promise<void> => this.#boundary.guardAsync('stats', () => this.#turn(settings));
    this.#timer = setInterval(() => void turn(), Math.min(Math.max(1, settings.intervalMs), TIMER_MS_MAX));
    this.#timer.unref();
    await turn();
  }

  async #end(): Promise<void> {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    this.#settings = null;
    const server = this.#server;
    this.#server = null;
    await server?.close();
  }

  /** One interval. One that comes while the last one's attempt is still under way is left out. */
  async #turn(settings: StatsConfig): Promise<void> {
    const metrics = this.#nebulaMetrics(settings);
    if (settings.type === 'prometheus') {
      const { namespace, subsystem } = settings;
      this.#families = nebulaFamilies(metrics, { namespace, subsystem, version: this.#view.version });
    }
    if (this.#isBusy) {
      return;
    }
    this.#isBusy = true;
    try {
      await (settings.type === 'graphite' ? this.#send(settings, metrics) : this.#listen(settings));
    } finally {
      this.#isBusy = false;
    }
  }

  #nebulaMetrics(settings: StatsConfig): readonly NebulaMetric[] {
    return nebulaMetrics(metricList(this.#view, this.#firewall), this.#view.measures.handshakes.sample.snapshot(), {
      messageMetrics: settings.messageMetrics,
      lighthouseMetrics: settings.lighthouseMetrics,
      hasDevice: this.#view.interfaceName !== null,
    });
  }

  async #send(settings: StatsConfig, metrics: readonly NebulaMetric[]): Promise<void> {
    const { protocol, prefix, intervalMs } = settings;
    const target = statsEndpoint(settings.host);
    if (target === null) {
      return;
    }
    const unixSeconds = Math.floor(this.#view.clock().unixMs / 1000);
    const text = graphiteText(metrics, prefix, intervalMs, unixSeconds);
    try {
      await sendToGraphite({ ...target, protocol }, text, Math.min(PATIENCE_MS, intervalMs));
    } catch (error) {
      this.#warn('Could not send statistics to Graphite, trying again at the next interval', settings.host, error);
    }
  }

  async #listen(settings: StatsConfig): Promise<void> {
    const endpoint = statsEndpoint(settings.listen);
    if (this.#server !== null || endpoint === null) {
      return;
    }
    const server = new MetricsServer({
      ...endpoint,
      path: settings.path,
      text: () => this.#freshText(),
      boundary: this.#boundary,
    });
    try {
      await server.listen();
    } catch (error) {
      this.#warn('Could not listen for Prometheus, trying again at the next interval', settings.listen, error);
      return;
    }
    if (this.#settings !== settings) {
      // It ended meanwhile.
      await server.close();
      return;
    }
    this.#server = server;
    this.#log.info('Prometheus stats listening', { listen: settings.listen, path: settings.path });
  }

  #freshText(): string {
    const nowMs = performance.now();
    if (nowMs - this.#text.madeMs >= FRESH_MS) {
      this.#text = { value: this.#makeText(), madeMs: nowMs };
    }
    return this.#text.value;
  }

  /** The modern set first: of two with one name its one counts. */
  #makeText(): string {
    const view = this.#view;
    const { counters, gauges } = metricList(view, this.#firewall);
    return expositionOf([
      ...nodeFamilies(view, gauges, this.#firewall),
      ...counterFamilies(counters),
      ...(this.#settings?.peerMetrics ? peerFamilies(view, this.#settings.peerMetricsMax) : []),
      ...this.#families,
    ]);
  }

  #warn(message: string, where: string, error: unknown): void {
    if (this.#failures.allow(performance.now())) {
      const suppressed = this.#failures.takeSuppressed();
      this.#log.warn(message, { where, error: errorText(error), ...(suppressed === 0 ? {} : { suppressed }) });
    }
  }
}
