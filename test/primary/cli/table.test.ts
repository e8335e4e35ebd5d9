import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatAge, formatFields, formatTable } from '../../../src/primary/cli/table.ts';

describe('table', () => {
  it('aligns texts to the left, numbers to the right, and shows nothing as a dash', () => {
    const text = formatTable(
      [{ title: 'name' }, { title: 'count', isNumber: true }, { title: 'end' }],
      [
        ['a', 5, ''],
        ['longer', 12_345, null],
      ],
    );
    expect(text).to.equal('name    count  end\na           5  -\nlonger  12345  -\n');
    expect(formatTable([{ title: 'name' }], [])).to.equal('');
  });

  it('lets no cell steer the terminal', () => {
    expect(formatFields([['name', 'a\u001b[31m\nb\u009bc']])).to.equal('name  a?[31m?b?c\n');
  });

  it('shows ages in two units', () => {
    const ages = [0, 59, 61, 3_599, 3_600, 90_000, 10 * 86_400, -61].map(formatAge);
    expect(ages).to.deep.equal(['0s', '59s', '1m1s', '59m59s', '1h0m', '1d1h', '10d0h', '-1m1s']);
  });
});
