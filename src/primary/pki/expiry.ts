/**
 * Certificates that come to their end, noticed ahead: 30, 7 and 1 day before, and when it has happened; and by a clock
 * that was set back, that they have not begun. Pure: time is an
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
  /** 'error' when this node's own certificate has ended or not begun: no peer takes it any more. */
  readonly level: 'warn' | 'error';
  readonly message: string;
  readonly certificate: Certificate;
  readonly fields: Readonly<Record<string, unknown>>;
}

const DAY_SECONDS = 86_400;
const LOOK_INTERVAL_MS = 3_600_000;

/** Before the end, longest first; 0 is the end itself. */
/** In place of days: the clock is before the certificate's beginning. */
const NOT_YET = -1;

const SPANS_DAYS: readonly number[] = [30, 7, 1, 0];

/**
 * Seconds until the first of this node's own certificates ends; negative afterwards. The metric
 * `certificate.ttl_seconds`.
 */
export function certificateTtlSeconds(identity: Identity, unixSeconds: number): number {
  return Math.min(...identity.certificates.map((certificate) => certificate.notAfter)) - unixSeconds;
}

/** Milliseconds until the next look: an hour, or the first end of one of the node's own certificates before that. */
export function untilNextLookMs(identity: Identity, unixMs: number): number {
  const ends = identity.certificates.map(({ notAfter }) => (notAfter + 1) * 1000 - unixMs);
  return Math.min(LOOK_INTERVAL_MS, ...ends.filter((ms) => ms > 0));
}

/** Whether this moment is outside of the validity of all certificates that the node has, its CAs' included. */
export function isOutsideAll({ certificates, caPool }: Identity, unixSeconds: number): boolean {
  const all = [...certificates, ...caPool.authorities];
  return all.every(({ notBefore, notAfter }) => unixSeconds < notBefore || unixSeconds > notAfter);
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
      const isOld = days <= 0 && before === undefined && certificate.isCa;
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
  if (unixSeconds < notBefore) {
    return NOT_YET;
  }
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
  const { isCa, name, version, fingerprint, notBefore, notAfter } = certificate;
  const subject = isCa ? 'A CA certificate' : 'The certificate of this host';
  const isOver = days <= 0;
  const over = days === NOT_YET ? 'is not valid yet' : 'has expired';
  const end = isOver ? over : `expires in ${days === 1 ? 'a day' : `${days} days`} or less`;
  return {
    level: isOver && !isCa ? 'error' : 'warn',
    message: `${subject} ${end}`,
    certificate,
    fields: {
      certName: name,
      certVersion: version,
      fingerprint,
      ...(days === NOT_YET ? { notBefore: timeText(notBefore) } : {}),
      notAfter: timeText(notAfter),
      ttlSeconds: notAfter - unixSeconds,
    },
  };
}
