/** What the dashboard and the alerting rules ask for is what a node serves. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { before, describe, it } from 'mocha';
import { requireTools } from '../../support/environment.ts';
import { everyMetric, sampleNames } from './everyMetric.ts';

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

const DASHBOARD = readFileSync('deploy/grafana/weft.json', 'utf8');
const RULES = load(readFileSync('deploy/prometheus/weft.rules.yml', 'utf8')) as Rules;

/** Metrics and, where an expression names them, the values of their labels: `name{label="value"` as in the text. */
function metricsIn(expression: string): readonly string[] {
  return [...expression.matchAll(/\b(?:weft|process)_[a-z_]+/g)].map(([name]) => name);
}

describe('what is deployed for monitoring', () => {
  let text: string;
  let names: ReadonlySet<string>;

  before(async () => {
    text = await everyMetric();
    names = sampleNames(text);
  });

  it('has a dashboard whose panels ask for metrics that exist', () => {
    const { panels } = JSON.parse(DASHBOARD) as { readonly panels: readonly Panel[] };
    const asked = panels.flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => ({ title, expr })));
    expect(asked.length).to.be.greaterThan(20);
    for (const { title, expr } of asked) {
      expect(metricsIn(expr), title).not.to.deep.equal([]);
      expect(
        metricsIn(expr).filter((name) => !names.has(name)),
        title,
      ).to.deep.equal([]);
    }
  });

  it('has alerts on metrics that exist', () => {
    const rules = RULES.groups.flatMap((group) => group.rules);
    expect(rules.length).to.be.greaterThan(10);
    for (const { alert, expr } of rules) {
      expect(
        metricsIn(expr).filter((name) => !names.has(name)),
        alert,
      ).to.deep.equal([]);
      expect(metricsIn(expr).length + (alert === 'WeftDown' ? 1 : 0), alert).to.be.greaterThan(0);
    }
  });

  it('asks for values of labels that exist', () => {
    const rules = RULES.groups.flatMap((group) => group.rules.map(({ expr }) => expr)).join('\n');
    const { panels } = JSON.parse(DASHBOARD) as { readonly panels: readonly Panel[] };
    const panelsText = panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr)).join('\n');
    const chosen = [...`${rules}\n${panelsText}`.matchAll(/(weft_\w+)\{([^}]*)\}/g)].flatMap(([, name, labels]) =>
      [...labels.matchAll(/(\w+)=~?"([^"$]+)"/g)].flatMap(([, label, values]) =>
        values.split('|').map((value) => ({ name, wanted: `${label}="${value}"` })),
      ),
    );
    expect(chosen.length).to.be.greaterThan(4);
    for (const { name, wanted } of chosen) {
      const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
      expect(
        lines.some((line) => line.includes(wanted)),
        `${name} with ${wanted}`,
      ).to.equal(true);
    }
  });

  it('has alerts that promtool accepts', function () {
    requireTools(this, 'promtool');
    const done = spawnSync('promtool', ['check', 'rules', 'deploy/prometheus/weft.rules.yml'], { encoding: 'utf8' });
    expect(done.status, `${done.stdout}${done.stderr}`).to.equal(0);
    expect(done.stdout).to.match(/SUCCESS: \d+ rules found/);
  });
});
