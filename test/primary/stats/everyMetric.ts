/** The text of every metric that weft serves, as of a node that has something to tell in each. */
import type { StatsConfig } from '../../../src/primary/config/config.ts';
import { StatsService } from '../../../src/primary/stats/statsService.ts';
import { boundaryOver, CollectingLog } from '../../support/collectingLog.ts';
import { configOf } from '../inspectedNode.ts';
import { StatsNode } from './statsNode.ts';

export async function everyMetric(more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const log = new CollectingLog();
  const service = new StatsService(new StatsNode(), log, boundaryOver(log));
  const stats = {
    type: 'prometheus',
    interval: '1h',
    listen: '127.0.0.1:0',
    path: '/metrics',
    namespace: 'nebula',
    message_metrics: true,
    lighthouse_metrics: true,
    peer_metrics: true,
    ...more,
  };
  const settings: StatsConfig = configOf({ stats }).stats;
  await service.apply(settings);
  try {
    return await (await fetch(`http://127.0.0.1:${service.port}/metrics`)).text();
  } finally {
    await service.close();
  }
}

/** Names of the samples in such a text. */
export function sampleNames(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^([A-Za-z_:][\w:]*)/gm)].map((match) => match[1]));
}
