/**
 * Finds and reads the files of a configuration: one file of any name, or every `.yaml` and `.yml` file below a
 * directory, sorted by absolute path as bytes. Symbolic links are followed. The only place of this folder that reads
 * the file system.
 */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { errorText } from '../../shared/log/errorText.ts';
import { errorAt, type Problem } from './problems.ts';

export interface SourceFile {
  readonly file: string;
  readonly text: string;
}

export interface SourceFiles {
  readonly sources: readonly SourceFile[];
  readonly problems: readonly Problem[];
}

/** Reads what `path` names; every file that cannot be read is a problem of its own. */
export function readSources(path: string): SourceFiles {
  const problems: Problem[] = [];
  const files: string[] = [];
  const root = resolve(path);
  try {
    if (statSync(root).isDirectory()) {
      collect(root, new Set(), files, problems);
    } else {
      files.push(root);
    }
  } catch (error) {
    problems.push(errorAt({ file: path, line: 0 }, '', `no config files found: ${reasonOf(error)}`));
    return { sources: [], problems };
  }
  files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const sources: SourceFile[] = [];
  for (const file of files) {
    try {
      sources.push({ file, text: readFileSync(file, 'utf8') });
    } catch (error) {
      problems.push(errorAt({ file, line: 0 }, '', `cannot be read: ${reasonOf(error)}`));
    }
  }
  if (files.length === 0) {
    const message = 'no config files found: the directory has no .yaml or .yml file';
    problems.push(errorAt({ file: path, line: 0 }, '', message));
  }
  return { sources, problems };
}

function collect(directory: string, seen: Set<string>, files: string[], problems: Problem[]): void {
  try {
    const real = realpathSync(directory);
    if (seen.has(real)) {
      return;
    }
    seen.add(real);
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
      if (isDirectory) {
        collect(path, seen, files, problems);
      } else if (['.yaml', '.yml'].includes(extname(name))) {
        files.push(path);
      }
    }
  } catch (error) {
    problems.push(errorAt({ file: directory, line: 0 }, '', `cannot be read: ${reasonOf(error)}`));
  }
}

/** What the system said, without the path that the problem names already. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
    ENOTDIR: 'a part of the path is no directory',
    ELOOP: 'too many symbolic links',
  };
  return known[code] ?? errorText(error);
}
