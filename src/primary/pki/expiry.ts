/**
 * Certificates that come to their end, noticed ahead: 30, 7 and 1 day before, and when it has happened. Pure: time is an
 * argument, the notices are values; `expiryReporter.ts` asks every hour and after each reload, and logs.
 *
 *   validity   ──────────────────────┬──────────────┬────────┬────▶
 *   notices                      30 days         7 days    1 day  the end
 *
 * Each notice is given once per certificate, unless the clock is set back; who starts late hears only the last that
 * applies. A certificate whose whole validity is shorter than a span is not warned of by it: it was made that way, and
 * something renews it.
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { timeText } from '../../shared/cert/rules.ts';
import type { Identity } from './identity.ts';

export interface ExpiryNotice {
  /** 'error' when this node's own certificate has ended: no peer takes it any more. */
  readonly level: 'warn' | 'error';
  readonly message: string;
  readonly certificate: Certificate;
  readonly fields: Readonly<Record<string, unknown>>;
}

const DAY_SECONDS = 86_400;

/** Before the end, longest first; 0 is the end itself. */
const SPANS_DAYS: readonly number[] = [30, 7, 1, 0];

/**
 * Seconds until the first of this node's own certificates ends; negative afterwards. The metric
 * `certificate.ttl_seconds`.
 */
export function certificateTtlSeconds(identity: Identity, unixSeconds: number): number {
  return Math.min(...identity.certificates.map((certificate) => certificate.notAfter)) - unixSeconds;
}

/** Remembers what it has said, by certificate: one of these lives as long as the node. */
export class ExpiryWatch {
  /** Fingerprint → the span that the last look was in. */
  #told = new Map<string, number>();

  /** What is new at this moment, about the node's own certificates and its CAs. Forgets certificates that are gone. */
  notices(identity: Identity, unixSeconds: number): readonly ExpiryNotice[] {
    const told = new Map<string, number>();
    const notices: ExpiryNotice[] = [];
    const look = (certificate: Certificate): void => {
      const before = this.#told.get(certificate.fingerprint);
      const days = spanAt(certificate, unixSeconds) ?? Number.POSITIVE_INFINITY;
      // Not the shortest ever: after a clock that ran ahead was set right, the notices come again when they are true.
      told.set(certificate.fingerprint, days);
      // A CA that had ended before the node loaded it was reported by the load.
      const isOld = days === 0 && before === undefined && certificate.isCa;
      if (days < (before ?? Number.POSITIVE_INFINITY) && !isOld) {
        notices.push(noticeOf(certificate, days, unixSeconds));
      }
    };
    identity.certificates.forEach(look);
    identity.caPool.authorities.forEach(look);
    this.#told = told;
    return notices;
  }
}

/** The shortest span that the moment is in; null when the end is further away than every span that counts. */
function spanAt({ notBefore, notAfter }: Certificate, unixSeconds: number): number | null {
  const leftSeconds = notAfter - unixSeconds;
  if (leftSeconds < 0) {
    return 0;
  }
  const spans = SPANS_DAYS.filter((days) => {
    const seconds = days * DAY_SECONDS;
    return days > 0 && leftSeconds <= seconds && notAfter - notBefore > seconds;
  });
  return spans.length === 0 ? null : spans[spans.length - 1];
}

function noticeOf(certificate: Certificate, days: number, unixSeconds: number): ExpiryNotice {
  const { isCa, name, version, fingerprint, notAfter } = certificate;
  const subject = isCa ? 'A CA certificate' : 'The certificate of this host';
  const end = days === 0 ? 'has expired' : `expires in ${days === 1 ? 'a day' : `${days} days`} or less`;
  return {
    level: days === 0 && !isCa ? 'error' : 'warn',
    message: `${subject} ${end}`,
    certificate,
    fields: {
      certName: name,
      certVersion: version,
      fingerprint,
      notAfter: timeText(notAfter),
      ttlSeconds: notAfter - unixSeconds,
    },
  };
}
