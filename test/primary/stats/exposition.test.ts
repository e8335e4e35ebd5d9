import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { COUNTER_ROWS } from '../../../src/primary/stats/counterFamilies.ts';
import { expositionOf } from '../../../src/primary/stats/exposition.ts';
import { NODE_ROWS } from '../../../src/primary/stats/nodeFamilies.ts';
import { requireTools } from '../../support/environment.ts';
import { everyMetric } from './everyMetric.ts';

describe('text for Prometheus', () => {
  it('has HELP and TYPE before each family, escapes, and values that are no numbers', () => {
    const samples = [
      { labels: { name: 'a "b"\\\n', worker: 1 }, value: 0.5 },
      { labels: {}, value: Number.POSITIVE_INFINITY },
      { labels: {}, value: Number.NaN },
    ];
    expect(expositionOf([{ name: 'a', type: 'gauge', help: 'first\\\nsecond', samples }])).to.equal(
      '# HELP a first\\\\\\nsecond\n# TYPE a gauge\na{name="a \\"b\\"\\\\\\n",worker="1"} 0.5\na +Inf\na NaN\n',
    );
  });

  it('leaves out what has no sample and what has a name for the second time', () => {
    const family = { name: 'a', type: 'gauge', help: '', samples: [{ labels: {}, value: 1 }] } as const;
    expect(expositionOf([{ ...family, samples: [] }, family, { ...family, type: 'counter' }])).to.equal(
      '# HELP a \n# TYPE a gauge\na 1\n',
    );
  });
});

describe('modern metrics', () => {
  let text: string;
  before(async () => {
    text = await everyMetric();
  });

  it('are all there, and no others', () => {
    const served = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
      .map(([, name, type]) => `${name} ${type}`)
      .filter((line) => !line.startsWith('nebula_'));
    const listed = [
      ...NODE_ROWS.map(({ name, type }) => `${name} ${type}`),
      ...COUNTER_ROWS.map(({ name }) => `${name} counter`),
    ];
    expect(served.sort()).to.deep.equal(listed.sort());
  });

  it('have the labels that they are said to have', () => {
    const rows = [...NODE_ROWS, ...COUNTER_ROWS.map((row) => ({ ...row, type: 'counter' }))];
    for (const { name, labels, type, ...row } of rows) {
      const line = text.split('\n').find((each) => each.startsWith(`${name}{`) || each.startsWith(`${name} `));
      const found = [...(line ?? '').matchAll(/[{,](\w+)="/g)].map((match) => match[1]);
      const byWorker = 'isByWorker' in row && row.isByWorker ? ['worker'] : [];
      expect(found, name).to.deep.equal(type === 'histogram' ? [] : [...labels, ...byWorker]);
    }
  });

  it('have each series once', () => {
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const names = series.map((line) => line.slice(0, line.lastIndexOf(' ')));
    expect(names.filter((name, index) => names.indexOf(name) !== index)).to.deep.equal([]);
  });

  it('count by worker what is counted by worker', () => {
    expect(text).to.include('weft_packets_total{side="udp",direction="rx",worker="0"} 70\n');
    expect(text).to.include('weft_packets_total{side="udp",direction="rx",worker="1"} 0\n');
    expect(text).to.include('weft_worker_restarts_total{worker="1"} 3\n');
    expect(text).to.include('weft_worker_up{worker="1"} 0\n');
    expect(text).to.include('weft_health{check="workers"} 0\n');
    expect(text).to.include('weft_health{check="certificate"} 1\n');
  });
});

describe('promtool', () => {
  before(function () {
    requireTools(this, 'promtool');
  });

  function check(text: string): { readonly code: number | null; readonly out: string } {
    const done = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', timeout: 20_000 });
    return { code: done.status, out: `${done.stdout}${done.stderr}` };
  }

  it('has nothing to say about the modern metrics', async () => {
    const text = await everyMetric();
    const modern = text.split(/^(?=# HELP )/m).filter((family) => !family.startsWith('# HELP nebula_'));
    expect(modern.length).to.be.greaterThan(40);
    expect(check(modern.join(''))).to.deep.equal({ code: 0, out: '' });
  });

  it("can read all of it, and dislikes nothing but Nebula's names", async () => {
    const { code, out } = check(await everyMetric());
    // 3: it could be read, but is not in good style.
    expect(code, out).to.equal(3);
    expect(out.split('\n').filter((line) => line !== '' && !line.startsWith('nebula_'))).to.deep.equal([]);
  });
});

describe('docs/metrics.md', () => {
  const rows = readFileSync('docs/metrics.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'));

  it('has one row for every modern metric', () => {
    const expected = [
      ...NODE_ROWS,
      ...COUNTER_ROWS.map((row) => ({
        ...row,
        type: 'counter',
        labels: [...row.labels, ...(row.isByWorker ? ['worker'] : [])],
      })),
    ].map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
    );
    expect(rows.filter((row) => !row.startsWith('| `nebula.'))).to.deep.equal(expected);
  });

  it("has one row for every one of Nebula's", async () => {
    const text = await everyMetric();
    const names = [...text.matchAll(/^# HELP nebula_\S+ (\S+)$/gm)].map((match) =>
      match[1].replace(/^udp\.\d+/, 'udp.N'),
    );
    const listed = rows.flatMap((row) => [...row.matchAll(/^\| `nebula\.([^`]+)`/g)].map((match) => match[1]));
    expect(listed).to.deep.equal([...new Set(names)]);
  });
});
