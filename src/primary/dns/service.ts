/**
 * Runs the lighthouse's DNS server as the configuration says, and follows its reloads: on, off, another address. A server
 * that cannot be opened is reported and tried again at the next reload; the node goes on without it.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import { errorText } from '../../shared/log/errorText.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { DnsAnswers, type DnsAnswersParts } from './answers.ts';
import { DnsServer } from './server.ts';
import { Zone } from './zone.ts';

export interface DnsSettings {
  /** `lighthouse.serve_dns`, and this node is a lighthouse. */
  readonly isEnabled: boolean;
  readonly host: string;
  readonly port: number;
}

export class DnsService {
  readonly #zone = new Zone();
  readonly #answers: DnsAnswers;
  readonly #log: Logger;
  #server: DnsServer | null = null;
  #settings: DnsSettings = { isEnabled: false, host: '', port: 0 };
  /** Changes one after the other, however fast they are asked for. */
  #work: Promise<void> = Promise.resolve();

  constructor(parts: Omit<DnsAnswersParts, 'zone'>, log: Logger) {
    this.#answers = new DnsAnswers({ ...parts, zone: this.#zone });
    this.#log = log;
  }

  /** The port that is answered on, or null. */
  get port(): number | null {
    return this.#server?.port ?? null;
  }

  /** A handshake with this host has completed; or it is this node itself. Ignored while there is no server. */
  add(certificateName: string, vpnAddresses: readonly IpAddress[]): void {
    if (this.#settings.isEnabled) {
      this.#zone.add(certificateName, vpnAddresses);
    }
  }

  /** Opens, closes or moves the server; resolves when that is done or has failed. Never rejects. */
  apply(settings: DnsSettings): Promise<void> {
    this.#work = this.#work.then(() => this.#change(settings));
    return this.#work;
  }

  close(): Promise<void> {
    return this.apply({ ...this.#settings, isEnabled: false });
  }

  async #change(settings: DnsSettings): Promise<void> {
    const { isEnabled, host, port } = settings;
    const isSame = this.#server !== null && host === this.#settings.host && port === this.#settings.port;
    this.#settings = settings;
    if (isEnabled && isSame) {
      return;
    }
    await this.#server?.close();
    this.#server = null;
    if (!isEnabled) {
      this.#zone.clear();
      return;
    }
    try {
      this.#server = await DnsServer.open({
        host,
        port,
        answers: this.#answers,
        onError: (error) => this.#log.warn('DNS server has trouble with a socket', { error: error.message }),
      });
      this.#log.info('DNS server is up', { host, port: this.#server.port });
    } catch (error) {
      const message = errorText(error);
      this.#log.error('DNS server could not be started; check lighthouse.dns.host and lighthouse.dns.port', {
        host,
        port,
        error: message,
      });
    }
  }
}
