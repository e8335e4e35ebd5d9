/** What the documents promise is there: linked files and headings exist, commands run, the changelog has its form. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loadConfig } from '../../src/primary/config/loader.ts';
import { WEFT_MAIN } from '../support/nodes.ts';
import { readTree, repositoryRoot, type SourceFile } from '../support/sourceTree.ts';

interface Package {
  readonly scripts: { readonly [name: string]: string };
  readonly version: string;
}

describe('documents', () => {
  const root = repositoryRoot();
  const documents = [...pages(root, ['README.md', 'CHANGELOG.md']), ...readTree(['docs'], ['.md'])];
  const readme = documents[0];
  const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Package).scripts;

  it('link only to files and headings that exist', () => {
    expect(documents.flatMap((page) => deadLinks(root, page))).to.deep.equal([]);
    const page = { path: 'README.md', text: '[a](nowhere.md) [b](#nothing) [c](https://example.org)' };
    expect(deadLinks(root, page)).to.have.length(2);
  });

  it('name files and folders of the source that exist', () => {
    const source = readTree(['src', 'test'], ['.ts']).map(({ path }) => path);
    expect(documents.flatMap((page) => deadPaths(source, page))).to.deep.equal([]);
    const page = {
      path: 'a.md',
      text: 'in `tunnel/seal`, `src/worker/loop.ts`, `datapath/nowhere` and `worker/nothing.ts`',
    };
    expect(deadPaths(source, page)).to.have.length(2);
  });

  it('have a test for every line of the security page', () => {
    const page = documents.find(({ path }) => path === 'docs/security.md');
    expect(page === undefined ? ['no page'] : unprovenLines(root, page)).to.deep.equal([]);
    const line = '| a | b | [no such test](../test/repo/docs.test.ts) |';
    expect(unprovenLines(root, { path: 'docs/security.md', text: line })).to.have.length(1);
    expect(unprovenLines(root, { path: 'docs/security.md', text: '| a | b | nothing |' })).to.have.length(1);
  });

  it('name only npm commands that package.json has', () => {
    for (const page of documents) {
      for (const match of page.text.matchAll(/\bnpm (?:run ([\w:-]+)|(test)\b)/g)) {
        expect(scripts, `${page.path}: ${match[0]}`).to.have.property(match[1] ?? match[2]);
      }
    }
  });

  it('begin with the two commands of the README', () => {
    expect(readme.text).to.include('npm ci && npm run demo');
    expect(readme.text).to.include('npm ci && npm test');
  });

  it('name only weft commands that the program has', () => {
    const help = spawnSync(process.execPath, [WEFT_MAIN, 'help'], { encoding: 'utf8', timeout: 20_000 });
    const commands = new Set<string>();
    for (const line of codeLines(readme.text)) {
      const match = /^(?:\$ )?(?:sudo )?(?:weft|node \.) ([a-z]+)/.exec(line);
      if (match !== null) {
        commands.add(match[1]);
      }
    }
    expect([...commands]).to.include.members(['run', 'check', 'cert', 'version']);
    for (const command of commands) {
      expect(`${help.stdout}${help.stderr}`, `the help of weft`).to.match(new RegExp(`\\b${command}\\b`));
    }
  });

  it('show configurations that weft accepts', () => {
    const examples = [...readme.text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]);
    expect(examples).not.to.deep.equal([]);
    const folder = mkdtempSync(join(tmpdir(), 'weft-readme-'));
    for (const example of examples) {
      writeFileSync(join(folder, 'config.yml'), example);
      const { config, problems } = loadConfig(join(folder, 'config.yml'));
      expect(config).not.to.equal(null);
      expect(problems.filter((problem) => problem.severity === 'error')).to.deep.equal([]);
    }
    rmSync(folder, { recursive: true });
  });

  it('keep a changelog with an unreleased section and known headings', () => {
    const headings = [...documents[1].text.matchAll(/^(#{2,3}) (.*)$/gm)].map((match) => match[2]);
    expect(headings[0]).to.equal('[Unreleased]');
    const known =
      /^(\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d|Added|Changed|Deprecated|Removed|Fixed|Security)$/;
    expect(headings.filter((heading) => !known.test(heading))).to.deep.equal([]);
  });
});

/** Rooms of the source by which a path in a text may begin, when it leaves out what is above. */
const ROOMS =
  /^(?:src|test|shared|primary|worker|dns|ip|wire|memory|tunnel|sys|crypto|ipc|datapath|offload|ports|control)\//;

/** Paths in backticks that are neither a file, with or without `.ts`, nor a folder of the source. */
function deadPaths(source: readonly string[], page: SourceFile): string[] {
  const paths = [...page.text.matchAll(/`((?:\w+\/)+\w+(?:\.ts)?)`/g)].map((match) => match[1]);
  return paths
    .filter((path) => ROOMS.test(path))
    .filter(
      (path) =>
        !source.some(
          (file) =>
            `/${file}`.includes(`/${path}/`) ||
            `/${file}`.replace(/\.ts$/, '').endsWith(`/${path.replace(/\.ts$/, '')}`),
        ),
    )
    .map((path) => `${page.path}: ${path}`);
}

function pages(root: string, paths: readonly string[]): SourceFile[] {
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

/** Rows of the page's tables without a link to a test whose file has the link's words in a title. */
function unprovenLines(root: string, page: SourceFile): string[] {
  const rows = page.text.split('\n').filter((line) => /^\|(?!-|.*shown by)/.test(line));
  return rows.filter((row) => {
    const links = [...row.matchAll(/\[([^\]]+)\]\(\.\.\/(test\/[^)]+\.test\.ts)\)/g)];
    const isShown = ([, words, file]: RegExpMatchArray): boolean =>
      existsSync(join(root, file)) &&
      titlesOf(readFileSync(join(root, file), 'utf8')).some((title) => title.includes(words));
    return links.length === 0 || !links.every(isShown);
  });
}

function titlesOf(text: string): string[] {
  return [...text.matchAll(/\b(?:describe|it)\(\s*(['"`])([\s\S]*?)\1,/g)].map((match) => match[2]);
}

function deadLinks(root: string, page: SourceFile): string[] {
  const text = page.text.replace(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
    if (/^[a-z]+:/.test(link)) {
      return [];
    }
    const [file, anchor] = link.split('#');
    const target = file === '' ? page.path : normalize(join(dirname(page.path), file));
    if (!existsSync(join(root, target))) {
      return [`${page.path}: ${link} does not exist`];
    }
    const isHere =
      anchor === undefined || anchorsOf(file === '' ? page.text : readFileSync(join(root, target), 'utf8')).has(anchor);
    return isHere ? [] : [`${page.path}: ${link} names no heading`];
  });
}

/** Headings as GitHub turns them into anchors: lower case, spaces to dashes, punctuation dropped. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#{1,6} (.*)$/gm)].map((match) => match[1]);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function codeLines(text: string): string[] {
  return [...text.matchAll(/```[a-z]*\n([\s\S]*?)```/g)].flatMap((match) => match[1].split('\n'));
}
