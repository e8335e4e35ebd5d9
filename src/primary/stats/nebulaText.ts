/** Nebula's metrics in the two forms in which Nebula gives them away (Nebula protocol: stats). Pure. */

import type { ReservoirSnapshot } from '../measures/reservoir.ts';
import type { MetricFamily, Sample } from './exposition.ts';
import type { NebulaMetric } from './nebulaMetrics.ts';

export interface NebulaNaming {
  readonly namespace: string;
  readonly subsystem: string;
  readonly version: string;
}

/** For Prometheus, where all of them are gauges, counters too. */
export function nebulaFamilies(metrics: readonly NebulaMetric[], naming: NebulaNaming): readonly MetricFamily[] {
  const labels = { version: naming.version, goversion: `node ${process.version}`, boringcrypto: 'false' };
  return [
    ...metrics.map((metric) => gauge(naming, metric.name, samplesOf(metric))),
    { ...gauge(naming, 'info', [{ labels, value: 1 }]), help: 'Version information for the binary' },
  ];
}

/** For Graphite: one line a value, each with `\n`. */
export function graphiteText(
  metrics: readonly NebulaMetric[],
  prefix: string,
  intervalMs: number,
  unixSeconds: number,
): string {
  const lines: string[] = [];
  const line = (name: string, text: string): void => {
    lines.push(`${prefix}.${name} ${text} ${unixSeconds}\n`);
  };
  for (const metric of metrics) {
    if (metric.kind === 'counter') {
      line(`${metric.name}.count`, String(metric.value));
      line(`${metric.name}.count_ps`, (metric.value / (intervalMs / 1000)).toFixed(2));
    } else if (metric.kind === 'gauge') {
      line(`${metric.name}.value`, String(metric.value));
    } else {
      const { count, min, max, mean, deviation } = metric.values;
      line(`${metric.name}.count`, String(count));
      line(`${metric.name}.min`, String(min));
      line(`${metric.name}.max`, String(max));
      line(`${metric.name}.mean`, mean.toFixed(2));
      line(`${metric.name}.std-dev`, deviation.toFixed(2));
      for (const [share, percent] of GRAPHITE_PERCENTILES) {
        line(`${metric.name}.${percent}-percentile`, metric.values.percentile(share).toFixed(2));
      }
    }
  }
  return lines.join('');
}

const GRAPHITE_PERCENTILES: readonly (readonly [share: number, name: string])[] = [
  [0.5, '50'],
  [0.75, '75'],
  [0.95, '95'],
  [0.99, '99'],
  [0.999, '999'],
];

function gauge({ namespace, subsystem }: NebulaNaming, name: string, samples: readonly Sample[]): MetricFamily {
  const parts = [namespace, subsystem, name].filter((part) => part !== '').map(flattened);
  return { name: parts.join('_').replace(/^(?=\d)/, '_'), type: 'gauge', help: name, samples };
}

/** ` . - =` become `_` with Nebula; so does here whatever else a name may not have. */
function flattened(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_:]/g, '_');
}

function samplesOf(metric: NebulaMetric): readonly Sample[] {
  return metric.kind === 'histogram' ? histogramSamples(metric.values) : [{ labels: {}, value: metric.value }];
}

function histogramSamples(values: ReservoirSnapshot): readonly Sample[] {
  const types: readonly (readonly [type: string, value: number])[] = [
    ['count', values.count],
    ['max', values.max],
    ['min', values.min],
    ['mean', values.mean],
    ['stddev', values.deviation],
    ['perc75', values.percentile(0.75)],
    ['perc95', values.percentile(0.95)],
    ['perc99', values.percentile(0.99)],
    ['perc999', values.percentile(0.999)],
    ['sum', values.sum],
    ['variance', values.variance],
  ];
  return types.map(([type, value]) => ({ labels: { type }, value }));
}
