/** What every file of the repository keeps to: its length, its preface, no silenced check, no test that is switched off. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { blankCommentsAndStrings, readTree, repositoryRoot, type SourceFile } from '../support/sourceTree.ts';

interface Linter {
  readonly linter: { readonly rules: { readonly suspicious: { readonly noExplicitAny: string } } };
}

const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

describe('files', () => {
  const source = readTree(['src'], ['.ts']);
  const tests = readTree(['test'], ['.ts']);
  const all = [...source, ...tests];

  it(`have at most ${LINES_MAX} lines`, () => {
    expect(all.flatMap((file) => tooLong(file, LINES_MAX))).to.deep.equal([]);
    expect(tooLong({ path: 'a.ts', text: 'x\n'.repeat(LINES_MAX) }, LINES_MAX)).to.deep.equal([]);
    expect(tooLong({ path: 'a.ts', text: 'x\n'.repeat(LINES_MAX + 1) }, LINES_MAX)).to.have.length(1);
  });

  it('begin with a comment that says what they own', () => {
    const named = all.filter((file) => !file.path.endsWith('.test.ts'));
    expect(named.filter((file) => !hasPreface(file)).map((file) => file.path)).to.deep.equal([]);
    expect(hasPreface({ path: 'a.ts', text: "import 'x';\n/** Late. */" })).to.equal(false);
  });

  it(`have functions of at most ${FUNCTION_LINES_MAX} lines`, () => {
    expect(source.flatMap((file) => longFunctions(file))).to.deep.equal([]);
    const body = '  x();\n'.repeat(FUNCTION_LINES_MAX + 1);
    expect(longFunctions({ path: 'a.ts', text: `export function f(): void {\n${body}}\n` })).to.have.length(1);
    expect(longFunctions({ path: 'a.ts', text: `class A {\n  async m(): void {\n${body}  }\n}\n` })).to.have.length(1);
  });

  it('leave the compiler and the linter their say', () => {
    const linter = JSON.parse(readFileSync(join(repositoryRoot(), 'biome.json'), 'utf8')) as Linter;
    expect(linter.linter.rules.suspicious.noExplicitAny).to.equal('error');
    const mute = /@ts-(?:ignore|nocheck|expect-error)|biome-ignore[^\n]*noExplicitAny/;
    const found = all.filter((file) => file.path !== 'test/repo/files.test.ts' && mute.test(file.text));
    expect(found.map((file) => file.path)).to.deep.equal([]);
    expect(mute.test(`// @ts-${'ignore'}`)).to.equal(true);
  });

  it('switch no test off and prefer none', () => {
    const switches = /\b(?:describe|context|it)\.(?:only|skip)\b|\b(?:xit|xdescribe|xcontext)\(/;
    expect(tests.flatMap((file) => linesWith(file, switches))).to.deep.equal([]);
    expect(linesWith({ path: 'a.ts', text: `it.${'only'}('x', f);` }, switches)).to.have.length(1);
    // Only a missing tool or privilege may skip a test; the condition stands right above.
    const unasked = tests.flatMap((file) =>
      linesWith(file, /\.skip\(/).filter((found) => !isAskedFor(file, Number(/:(\d+) /.exec(found)?.[1]))),
    );
    expect(unasked).to.deep.equal([]);
    expect(isAskedFor({ path: 'a.ts', text: 'f();\nthis.skip();' }, 2)).to.equal(false);
  });

  it('hold no marks of unfinished work', () => {
    const marks = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'not (yet )?implement' + 'ed'].join('|'));
    const found = all.flatMap((file) =>
      file.text
        .split('\n')
        .flatMap((line, index) => (marks.test(line) ? [`${file.path}:${index + 1} ${line.trim()}`] : [])),
    );
    expect(found).to.deep.equal([]);
  });

  it('export every name once', () => {
    expect(repeatedExports(source)).to.deep.equal([]);
    const [a, b] = ['const', 'interface'].map((kind) => ({ path: `${kind}.ts`, text: `export ${kind} Name {}\n` }));
    expect(repeatedExports([a])).to.deep.equal([]);
    expect(repeatedExports([a, b])).to.have.length(1);
  });

  it('write the constants of a module in capitals', () => {
    expect(source.flatMap(smallConstants)).to.deep.equal([]);
    const text =
      "export const b = 2 ** 3;\nconst Name: string = 'x';\nconst rows = [1];\nconst C = {} as const;\nconst d = f();\n";
    expect(smallConstants({ path: 'a.ts', text })).to.have.length(3);
  });

  it('are in test/support only when tests of several folders use them', () => {
    const lonely = lonelySupport(tests).filter((path) => path !== 'test/support/runTests.ts');
    expect(lonely).to.deep.equal([]);
    const support = { path: 'test/support/a.ts', text: '' };
    const [here, there] = ['test/e2e', 'test/sim'].map((folder) => ({
      path: `${folder}/b.ts`,
      text: `'../support/a.ts'`,
    }));
    expect(lonelySupport([support, here])).to.deep.equal([support.path]);
    expect(lonelySupport([support, here, there])).to.deep.equal([]);
  });

  it('are tested: a test file for something that exists', () => {
    const names = tests.filter((file) => file.path.endsWith('.test.ts'));
    expect(names.length).to.be.greaterThan(10);
    const empty = names.filter((file) => !/\bit\(/.test(file.text));
    expect(empty.map((file) => file.path)).to.deep.equal([]);
  });
});

/** Whether the lines above a skip look at what the machine offers. */
function isAskedFor(file: SourceFile, line: number): boolean {
  const above = file.text.split('\n').slice(Math.max(0, line - 10), line - 1);
  return above.some((text) => /getuid|isRoot|obstacle|\bexistsSync\('\/dev|process\.(version|arch)/.test(text));
}

/** Names that two files export. A value and its type may have one name: they are in one file. */
function repeatedExports(files: readonly SourceFile[]): string[] {
  const exported = /^export (?:declare |abstract |async )*(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm;
  const paths = new Map<string, Set<string>>();
  for (const file of files) {
    for (const [, name] of file.text.matchAll(exported)) {
      paths.set(name, (paths.get(name) ?? new Set()).add(file.path));
    }
  }
  return [...paths].filter(([, of]) => of.size > 1).map(([name, of]) => `${name}: ${[...of].join(', ')}`);
}

/** Constants with a literal, or a list of them, for a value. Sets of constants (`Verdict`) and computed values may be otherwise. */
function smallConstants(file: SourceFile): string[] {
  const constant = /^(?:export )?const (\w+)(?:: [^=\n]+)? =\s+(?:-?\d|['"`/]|true\b|false\b|\[(?!\]|\.\.\.))/gm;
  return [...file.text.matchAll(constant)]
    .map((match) => match[1])
    .filter((name) => !/^[A-Z][A-Z0-9_]*$/.test(name))
    .map((name) => `${file.path}: ${name}`);
}

/** Files in test/support whose users, and users' users, all lie in one other folder. Programs are named, not imported. */
function lonelySupport(tests: readonly SourceFile[]): string[] {
  const names = (user: SourceFile, path: string): boolean =>
    [...user.text.matchAll(/'(\.\.?\/[^'\n]+)\.[jt]s'/g)].some(
      (match) => `${join(dirname(user.path), match[1])}.ts` === path,
    );
  const foldersOf = (path: string, seen: ReadonlySet<string>): string[] =>
    tests
      .filter((user) => !seen.has(user.path) && names(user, path))
      .flatMap((user) =>
        user.path.startsWith('test/support/')
          ? foldersOf(user.path, new Set([...seen, user.path]))
          : [user.path.split('/')[1]],
      );
  return tests
    .map(({ path }) => path)
    .filter((path) => path.startsWith('test/support/') && new Set(foldersOf(path, new Set([path]))).size < 2);
}

function tooLong(file: SourceFile, linesMax: number): string[] {
  const count = file.text.split('\n').length - (file.text.endsWith('\n') ? 1 : 0);
  return count > linesMax ? [`${file.path} has ${count} lines`] : [];
}

function hasPreface(file: SourceFile): boolean {
  return /^(#![^\n]*\n)?\s*(\/\*\*|\/\/)/.test(file.text);
}

function linesWith(file: SourceFile, pattern: RegExp): string[] {
  const lines = blankCommentsAndStrings(file.text).split('\n');
  return lines.flatMap((line, index) => (pattern.test(line) ? [`${file.path}:${index + 1} ${line.trim()}`] : []));
}

/**
 * Functions and methods by their indentation, which biome keeps: the head stands at some depth and ends in `{`, the end is
 * the next line that has a closing brace at the same depth.
 */
function longFunctions(file: SourceFile): string[] {
  const lines = file.text.split('\n');
  const head =
    /^(\s*)(?:export )?(?:default )?(?:static |override |private )*(?:async )?(?:function\*? )?([\w$#]+)(?:<[^>]*>)?\(/;
  const keyword = /^(?:if|for|while|switch|catch|return|await|describe|it|new)$/;
  const found: string[] = [];
  for (const [index, line] of lines.entries()) {
    const match = head.exec(line);
    if (match === null || keyword.test(match[2])) {
      continue;
    }
    const indent = match[1];
    const open = lines.findIndex((other, at) => at >= index && at < index + 12 && other.endsWith('{'));
    const isCall = lines.slice(index, open + 1).some((other) => other.trimEnd().endsWith(';'));
    if (open < 0 || isCall) {
      continue;
    }
    const end = lines.findIndex((other, at) => at > open && other.startsWith(`${indent}}`));
    if (end - index - 1 > FUNCTION_LINES_MAX) {
      found.push(`${file.path}:${index + 1} ${match[2]} has ${end - index - 1} lines`);
    }
  }
  return found;
}
