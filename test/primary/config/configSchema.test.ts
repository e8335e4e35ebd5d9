import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { describe, it } from 'mocha';
import { schemaCommand } from '../../../src/primary/cli/schema.ts';
import { configSchema, structureFaults } from '../../../src/primary/config/configSchema.ts';
import type { JsonSchema } from '../../../src/primary/config/jsonSchema.ts';
import { keys } from '../../../src/primary/config/keys.ts';
import type { Plain, PlainMap } from '../../../src/primary/config/plain.ts';
import type { Scalar } from '../../../src/primary/config/shapes.ts';
import { complaints } from './support.ts';

const validate = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(configSchema());

/** Of every kind and spelling that some key takes. */
const VALUES: readonly (string | number | boolean | null)[] = [
  ...[
    null,
    true,
    false,
    0,
    1,
    2,
    500,
    4242,
    -1,
    70_000,
    '',
    ' ',
    '0',
    '1',
    '+5',
    '500',
    '-3',
    '1.5',
    '10s',
    '0s',
    '1h30m',
  ],
  ...[
    't',
    'F',
    'yEs',
    'n',
    'TRUE',
    'on',
    'aes',
    'AES',
    'chachapoly',
    'drop',
    'reject',
    'always',
    'private',
    'info',
    'WARN',
  ],
  ...[
    'Json',
    'text',
    'ip4',
    'ip',
    'libgcrypt',
    'none',
    'prometheus',
    'pid',
    '10.0.0.1',
    'fd00::1',
    '10.0.0.0/8',
    'a:1',
  ],
  ...['eth.*', 'ab'.repeat(32), 'weft0', '::', '[::]', 'pkcs11:x'],
];

function faultsOf(value: unknown): readonly string[] {
  return validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
}

function childOf({ properties }: JsonSchema, name: string): JsonSchema {
  return (properties as Readonly<Record<string, JsonSchema>>)[name];
}

describe('JSON Schema of a configuration', () => {
  it('is a schema, and what `weft schema` prints', () => {
    let stdout = '';
    const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: () => true } };
    expect(schemaCommand([], io)).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.equal(configSchema());
    expect(schemaCommand(['now'], io)).to.equal(2);
  });

  it('says what weft does of every key and section', () => {
    for (const { path, note } of keys.values()) {
      const schema = path.split('.').reduce((parent, step) => childOf(parent, step), configSchema());
      expect(schema.description, path).to.equal(note);
    }
  });

  it('accepts the example and the files of the README', () => {
    expect(faultsOf(load(readFileSync('deploy/weft.example.yml', 'utf8')))).to.deep.equal([]);
    const blocks = [...readFileSync('README.md', 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text);
    expect(blocks).to.have.length.of.at.least(2);
    for (const text of blocks) {
      expect(faultsOf(load(text)), text).to.deep.equal([]);
    }
  });

  it('marks wrong kinds, words, limits, unknown and missing keys', () => {
    const pki = { ca: 'a', cert: 'b', key: 'c' };
    for (const [more, fault] of [
      [{ listen: 5 }, '/listen type'],
      [{ listen: { port: 70000 } }, '/listen/port maximum'],
      [{ lighthouse: { hosts: '10.0.0.1' } }, '/lighthouse/hosts type'],
      [{ cipher: 'AES' }, '/cipher enum'],
      [{ static_host_map: { '10.0.0.1': [5] } }, '/static_host_map/10.0.0.1/0 type'],
      [{ punchy: { punch: 'on' } }, '/punchy/punch pattern'],
      [{ lisen: {} }, ' additionalProperties'],
      [{ tun: { unsafe_routes: [{ route: '10.0.0.0/8' }] } }, '/tun/unsafe_routes/0 required'],
    ] as const) {
      expect(faultsOf({ pki, ...more })).to.include(fault);
    }
    expect(faultsOf({})).to.deep.equal([' required']);
  });

  it('finds no fault in what the shapes of its keys take', () => {
    let taken = 0;
    for (const { path, shape } of keys.values()) {
      for (const value of VALUES) {
        if ('parse' in shape && (shape as Scalar<unknown>).parse(value) !== null) {
          const tree = path.split('.').reduceRight<Plain>((below, step) => ({ [step]: below }), value);
          expect([...structureFaults(tree as PlainMap)], `${path}: ${JSON.stringify(value)}`).to.deep.equal([]);
          taken++;
        }
      }
    }
    expect(taken).to.be.greaterThan(300);
  });

  it('decides on the structure of what is loaded', () => {
    expect([...structureFaults({ listen: { port: [1] }, cipher: 'x', tun: { mtu: 70000 } })].sort()).to.deep.equal([
      '/cipher',
      '/listen/port',
    ]);
    expect(complaints('cipher: x\n')).to.deep.equal(['6: cipher: expected one of aes, chachapoly, found "x"']);
  });
});
