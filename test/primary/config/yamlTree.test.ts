import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatProblem } from '../../../src/primary/config/problems.ts';
import { type ConfigNode, parseYaml } from '../../../src/primary/config/yamlTree.ts';

function plain(node: ConfigNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(plain);
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, child]) => [key, plain(child)]));
  }
}

function readPlain(source: string): unknown {
  const { root, problems } = parseYaml('f', source);
  expect(problems).to.deep.equal([]);
  return root === null ? null : plain(root);
}

function faultOf(source: string): string {
  const { root, problems } = parseYaml('f', source);
  expect(root).to.equal(null);
  expect(problems).to.have.length(1);
  return formatProblem(problems[0]);
}

describe('YAML trees', () => {
  it('reads maps, lists, quotes and blocks', () => {
    const source = 'a: 1\n"b": [x, "1", \'2\', ~]\nc:\n  - d: |\n      one\n      two\n  - {e: !!str 5}\n';
    expect(readPlain(source)).to.deep.equal({
      a: 1,
      b: ['x', '1', '2', null],
      c: [{ d: 'one\ntwo\n' }, { e: '5' }],
    });
  });

  it('reads an empty text, a comment and an empty document as an empty map', () => {
    for (const source of ['', '\n\n', '# nothing\n', '---\n', '~\n']) {
      expect(readPlain(source), JSON.stringify(source)).to.deep.equal({});
    }
  });

  it('remembers the line of every value', () => {
    const source = '# c\n\na:\n  b: 1\n  c:\n    - x\n    - y: [1,\n          2]\nd: >\n  folded\n';
    const { root } = parseYaml('f', source);
    const lines: Record<string, number> = {};
    const visit = (node: ConfigNode, path: string): void => {
      lines[path] = node.place.line;
      if (node.kind === 'map') {
        for (const [key, child] of node.entries) {
          visit(child, `${path}.${key}`);
        }
      } else if (node.kind === 'list') {
        for (const [index, child] of node.items.entries()) {
          visit(child, `${path}.${index}`);
        }
      }
    };
    visit(root!, '');
    expect(lines).to.deep.equal({
      '': 3,
      '.a': 3,
      '.a.b': 4,
      '.a.c': 5,
      '.a.c.0': 6,
      '.a.c.1': 7,
      '.a.c.1.y': 7,
      '.a.c.1.y.0': 7,
      '.a.c.1.y.1': 8,
      '.d': 9,
    });
  });

  it('follows anchors and merge keys', () => {
    const source = 'x: &d {a: 1, b: 2}\ny: &e {b: 5, c: 6}\nz: {<<: [*d, *e], b: 3}\nl: [*d, *d]\n';
    expect(readPlain(source)).to.deep.include({
      z: { b: 3, a: 1, c: 6 },
      l: [
        { a: 1, b: 2 },
        { a: 1, b: 2 },
      ],
    });
  });

  it('gives prototype names no power', () => {
    expect(Object.keys(readPlain('__proto__: {a: 1}\nconstructor: 2\n') as object)).to.deep.equal([
      '__proto__',
      'constructor',
    ]);
  });

  it('names the line of a syntax error, without quoting the file', () => {
    expect(faultOf('a: 1\nb: [1, 2\nkey: "SECRET"\n')).to.match(/^f:\d+: not valid YAML: /);
    expect(faultOf('a: 1\n  b: "SECRET\n'))
      .to.match(/^f:\d+: not valid YAML: /)
      .and.not.include('SECRET');
    expect(faultOf('a: 1\n\tb: 2\n')).to.match(/^f:2: not valid YAML: /);
  });

  it('refuses what is no map of settings', () => {
    expect(faultOf(' invalid yaml')).to.equal('f:1: expected a map of settings (`key: value`), found a single value');
    expect(faultOf('- a\n- b\n')).to.equal('f:1: expected a map of settings (`key: value`), found a list');
    expect(faultOf('a: 1\n---\nb: 2\n')).to.include('more than one YAML document');
  });

  it('refuses keys that stand twice, unknown aliases, strange tags and keys that are no text', () => {
    expect(faultOf('a:\n  b: 1\n  c: 2\n  b: 3\n')).to.equal('f:4: a.b: this key stands twice in the same map');
    expect(faultOf('a: *x\n')).to.equal('f:1: a: the alias *x has no anchor &x above it');
    expect(faultOf('a: !!binary aGk=\n')).to.include('!!binary is not supported');
    expect(faultOf('? [a, b]\n: 1\n')).to.include('a key must be text');
    expect(faultOf('a: {<<: [1]}\n')).to.include('a merge key takes maps only');
  });

  it('refuses aliases that multiply', () => {
    let source = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
    for (let level = 1; level < 12; level++) {
      source += `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]\n`;
    }
    expect(faultOf(source)).to.include('aliases that multiply');
  });

  it('refuses endless nesting', () => {
    expect(faultOf(`a: ${'['.repeat(5000)}`)).to.include('not valid YAML');
  });

  it('warns about octal numbers that do not look like it', () => {
    const { root, problems } = parseYaml('f', 'a: {b: 010}\nc: "010"\n');
    expect(plain(root!)).to.deep.equal({ a: { b: 8 }, c: '010' });
    expect(problems.map(formatProblem)).to.deep.equal([
      'f:1: warning: a.b: 010 is read as the octal number 8, as Nebula does; write 8, or quote it',
    ]);
  });
});
