/**
 * The lighthouse's metrics, by the names that Nebula exports where it has the same; one cell each, in this order.
 * `lighthouse.drop.*` and those below are weft's own.
 */
export const LIGHTHOUSE_METRIC_NAMES = [
  'lighthouse.rx.HostQuery',
  'lighthouse.rx.HostQueryReply',
  'lighthouse.rx.HostUpdateNotification',
  'lighthouse.rx.HostPunchNotification',
  'lighthouse.rx.HostUpdateNotificationAck',
  'lighthouse.rx.other',
  'lighthouse.tx.HostQuery',
  'lighthouse.tx.HostQueryReply',
  'lighthouse.tx.HostUpdateNotification',
  'lighthouse.tx.HostPunchNotification',
  'lighthouse.tx.HostUpdateNotificationAck',
  'lighthouse.tx.other',
  'lighthouse.drop.malformed',
  'lighthouse.drop.not_owner',
  'lighthouse.drop.unknown_host',
  'lighthouse.drop.busy',
  'lighthouse.drop.form',
  'lighthouse.drop.not_lighthouse',
  'lighthouse.drop.unasked',
  'lighthouse.queries_refused',
  'lighthouse.punches_refused',
  'lighthouse.excess_entries',
  'lighthouse.queries.not_found',
] as const;

export type LighthouseMetricName = (typeof LIGHTHOUSE_METRIC_NAMES)[number];

/** Position of each metric in a run of `LIGHTHOUSE_METRIC_NAMES.length` cells. */
export const LIGHTHOUSE_METRIC: { readonly [name in LighthouseMetricName]: number } = Object.fromEntries(
  LIGHTHOUSE_METRIC_NAMES.map((name, index) => [name, index]),
) as { [name in LighthouseMetricName]: number };
