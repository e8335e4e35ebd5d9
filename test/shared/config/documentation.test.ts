import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Key } from '../../../src/shared/config/keyRows.ts';
import { keys, sections } from '../../../src/shared/config/keys.ts';
import { unsupportedFeatures } from '../../../src/shared/config/keysUnsupported.ts';
import { loadConfig } from '../../../src/shared/config/loader.ts';
import { accepts } from '../../../src/shared/config/scalars.ts';
import { shapeName } from '../../../src/shared/config/shapes.ts';
import { configSchema } from '../../../src/shared/config/validate.ts';

const DOCUMENT = readFileSync('docs/configuration.md', 'utf8');

/** The row that the documentation must have for a key. */
function rowOf(key: Key): string {
  const fallback = key.isRequired
    ? 'required'
    : key.fallback === undefined
      ? '–'
      : `\`${JSON.stringify(key.fallback)}\``;
  const type = shapeName(key.shape).replaceAll('|', '\\|');
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
  it('makes a valid JSON schema', () => {
    const ajv = new Ajv({ strict: false });
    expect(ajv.validateSchema(configSchema()), JSON.stringify(ajv.errors)).to.equal(true);
  });

  it('has defaults that its own schema accepts', () => {
    for (const key of keys.values()) {
      if (typeof key.fallback !== 'object' && key.fallback !== undefined) {
        expect(key.shape.is, key.path).to.not.be.oneOf(['list', 'map', 'object', 'oneOrMany', 'oneOrObjects', 'any']);
        expect(accepts(key.shape as Parameters<typeof accepts>[0], key.fallback), key.path).to.equal(true);
      }
    }
  });

  it('gives every key a place in the schema', () => {
    for (const path of keys.keys()) {
      let schema: unknown = configSchema();
      for (const step of path.split('.')) {
        schema = (schema as { properties?: Record<string, unknown> }).properties?.[step];
      }
      expect(schema, path).to.be.an('object');
    }
  });

  it('knows every unsupported key', () => {
    for (const { path } of unsupportedFeatures) {
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
