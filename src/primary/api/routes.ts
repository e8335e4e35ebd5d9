/** Every path of the local API and the inspection behind it; `docs/api.md` describes them. */

import { FirewallInspection } from '../inspection/firewall.ts';
import { lighthouseList, lighthouseQuery } from '../inspection/lighthouse.ts';
import { metricList } from '../inspection/metrics.ts';
import type { NodeView } from '../inspection/nodeView.ts';
import { hostList, nodeStatus } from '../inspection/status.ts';
import { why } from '../inspection/why.ts';
import { flowFilterOf, listLimitOf, queryAddressOf, rulesOf, whyRequestOf } from './requests.ts';
import type { ApiRoute } from './server.ts';

export function routesOf(view: NodeView): readonly ApiRoute[] {
  const firewall = new FirewallInspection(view);
  return [
    { method: 'GET', path: '/v1/status', answer: () => nodeStatus(view) },
    { method: 'GET', path: '/v1/metrics', answer: () => metricList(view, firewall) },
    { method: 'GET', path: '/v1/hosts', answer: () => hostList(view) },
    { method: 'GET', path: '/v1/firewall/rules', answer: () => firewall.rules() },
    { method: 'GET', path: '/v1/firewall/flows', answer: ({ query }) => firewall.flows(flowFilterOf(query)) },
    { method: 'POST', path: '/v1/firewall/diff', answer: ({ body }) => firewall.difference(rulesOf(body)) },
    { method: 'POST', path: '/v1/why', answer: ({ body }) => why(view, firewall, whyRequestOf(body)) },
    { method: 'GET', path: '/v1/lighthouse', answer: ({ query }) => lighthouseList(view, listLimitOf(query)) },
    {
      method: 'GET',
      path: '/v1/lighthouse/query',
      answer: ({ query }) => lighthouseQuery(view, queryAddressOf(query)),
    },
  ];
}
