/** The repository's own files as text, for the tests in test/repo: which there are, what they import, their code without comments. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourceFile {
  /** From the repository's root, as `src/worker/loop.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface ImportStatement {
  /** As written: `koffi`, `node:fs`, `../ip/address.ts`. */
  readonly specifier: string;
  /** Erased by the compiler: nothing of the module is there at run time. */
  readonly isTypeOnly: boolean;
}

/** The directory that holds package.json and src: above this file, or the working directory. */
export function repositoryRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'tsconfig.json')) && existsSync(join(folder, 'src'))) {
      return folder;
    }
  }
  return process.cwd();
}

/** All files below `folders` whose name ends in one of `extensions`, sorted. */
export function readTree(folders: readonly string[], extensions: readonly string[]): SourceFile[] {
  const root = repositoryRoot();
  const files: SourceFile[] = [];
  for (const folder of folders) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = relative(root, join(entry.parentPath ?? entry.path, entry.name));
      if (entry.isFile() && extensions.some((extension) => path.endsWith(extension))) {
        files.push({ path, text: readFileSync(join(root, path), 'utf8') });
      }
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Every static and dynamic import and re-export. */
export function importsOf(text: string): ImportStatement[] {
  const code = blankComments(text);
  const imports: ImportStatement[] = [];
  for (const match of code.matchAll(/\b(import|export)\s+(type\s+)?(?:[\w$*\s{},]*?\bfrom\s*)?(['"])([^'"\n]+)\3/g)) {
    imports.push({ specifier: match[4], isTypeOnly: match[2] !== undefined });
  }
  for (const match of code.matchAll(/\b(?:import|require)\s*\(\s*(['"])([^'"\n]+)\1/g)) {
    imports.push({ specifier: match[2], isTypeOnly: false });
  }
  return imports;
}

/** The code with comments replaced by spaces; strings and line breaks stay. */
function blankComments(text: string): string {
  return replaceTokens(text, (token) => (token.startsWith('/') ? token.replace(/[^\n]/g, ' ') : token));
}

/** The code with comments and the contents of strings replaced by spaces. */
export function blankCommentsAndStrings(text: string): string {
  return replaceTokens(text, (token) => token.replace(/[^\n]/g, ' '));
}

/** A comment, a string or a template up to its first substitution: enough for code that biome has formatted. */
function replaceTokens(text: string, replace: (token: string) => string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g;
  return text.replace(token, replace);
}
