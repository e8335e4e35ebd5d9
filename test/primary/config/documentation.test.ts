import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Key } from '../../../src/primary/config/keyRows.ts';
import { keys, sections } from '../../../src/primary/config/keys.ts';
import { UNSUPPORTED_FEATURES } from '../../../src/primary/config/keysUnsupported.ts';
import { loadConfig } from '../../../src/primary/config/loader.ts';
import { nodeOf } from '../../../src/primary/config/plain.ts';
import type { Problem } from '../../../src/primary/config/problems.ts';
import { Spot } from '../../../src/primary/config/spot.ts';

const DOCUMENT = readFileSync('docs/configuration.md', 'utf8');

/** The row that the documentation must have for a key. */
function rowOf(key: Key): string {
  const fallback = key.isRequired
    ? 'required'
    : key.fallback === undefined
      ? '–'
      : `\`${JSON.stringify(key.fallback)}\``;
  const type = key.shape.type.replaceAll('|', '\\|');
  const plain = fallback.replace(/^`"(.+)"`$/, '`$1`');
  return `| \`${key.path}\` | ${type} | ${plain} | ${key.isReloadable ? 'yes' : 'no'} | ${key.note} |`;
}

describe('docs/configuration.md', () => {
  it('has one row for every key, with its type, default and note, and no other row', () => {
    const rows = DOCUMENT.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).to.deep.equal([...keys.values()].map(rowOf));
  });
});

describe('key table', () => {
  it('has defaults that its own shapes accept', () => {
    for (const key of keys.values()) {
      if (key.fallback !== undefined) {
        const problems: Problem[] = [];
        expect(
          key.shape.read(new Spot(nodeOf(key.fallback), [key.path], { problems, faults: new Set() }, null)),
          key.path,
        ).to.not.equal(undefined);
        expect(problems, key.path).to.deep.equal([]);
      }
    }
  });

  it('knows every unsupported key', () => {
    for (const { path } of UNSUPPORTED_FEATURES) {
      expect(keys.has(path) || sections.has(path), path).to.equal(true);
    }
  });
});

describe('deploy/weft.example.yml', () => {
  it('is usable and gives no warning', () => {
    const { config, problems } = loadConfig('deploy/weft.example.yml');
    expect(problems).to.deep.equal([]);
    expect(config?.routines).to.equal(2);
  });
});
