/**
 * What child processes are started from: this program's own files, the dependencies' manifests. Remembers what they were
 * when the primary was loaded, and tells whether they still are that. Files that were written again as they were, as a
 * build does, are the same.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `gone`: a file is missing; `other`: another version, or half of one, lies in its place. */
export type ProgramState = 'same' | 'gone' | 'other';

export interface ProgramLook {
  readonly state: ProgramState;
  /** The first file that tells, or the program's folder. */
  readonly path: string;
}

interface Snapshot {
  /** By these a file is seen to have been written: inode, size and time of each. */
  readonly marks: string;
  /** Sizes: two versions do not have the same size in every file, and the same version in their manifests. */
  readonly sizes: string;
}

export class ProgramFiles {
  readonly #root: string;
  readonly #modules: readonly string[];
  readonly #manifests: readonly string[];
  /** What children may be started from. */
  readonly #own: string;
  /** What was found when the files were last compared. */
  #known: { readonly marks: string; readonly state: ProgramState };

  /** `root`: the folder of the compiled program. Throws when it is not whole. */
  constructor(root: string = fileURLToPath(new URL('../..', import.meta.url))) {
    this.#root = root;
    this.#modules = CHILD_FOLDERS.flatMap((name) => modulesIn(join(root, name)));
    this.#manifests = manifestsOf(root);
    const { marks, sizes } = this.#snapshot(() => {
      throw new Error(`${root} is not whole: install weft again`);
    });
    this.#own = sizes + this.#manifestTexts();
    this.#known = { marks, state: 'same' };
  }

  /** About 250 looks at the disk, no reading as long as nobody writes there. */
  look(): ProgramLook {
    let missing = '';
    const { marks, sizes } = this.#snapshot((path) => {
      missing ||= path;
    });
    if (missing !== '') {
      return { state: 'gone', path: missing };
    }
    if (marks !== this.#known.marks) {
      this.#known = { marks, state: sizes + this.#manifestTexts() === this.#own ? 'same' : 'other' };
    }
    return { state: this.#known.state, path: this.#root };
  }

  #snapshot(onMissing: (path: string) => void): Snapshot {
    let [marks, sizes] = ['', ''];
    for (const path of [...this.#modules, ...this.#manifests]) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) {
        onMissing(path);
      } else {
        marks += `${stat.ino}:${stat.size}:${stat.mtimeMs} `;
        sizes += `${stat.size} `;
      }
    }
    return { marks, sizes };
  }

  /** Of one that goes meanwhile, nothing: the next look finds it missing. */
  #manifestTexts(): string {
    return this.#manifests
      .map((path) => {
        try {
          return readFileSync(path, 'utf8');
        } catch {
          return '';
        }
      })
      .join('');
  }
}

/** What the children's entries import. */
const CHILD_FOLDERS = ['worker', 'dns', 'shared'];

function modulesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.js')).map((name) => join(folder, name));
}

/** The package.json of this package and of all that it depends on, found as Node finds them. */
function manifestsOf(root: string): string[] {
  const own = nearest(root, 'package.json');
  const found = new Set<string>();
  const follow = (manifest: string): void => {
    if (found.has(manifest)) {
      return;
    }
    found.add(manifest);
    for (const name of dependenciesIn(manifest)) {
      const next = nearest(dirname(manifest), join('node_modules', name, 'package.json'));
      if (next !== null) {
        follow(next);
      }
    }
  };
  if (own !== null) {
    follow(own);
  }
  return [...found];
}

function dependenciesIn(manifest: string): string[] {
  const parsed: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  const { dependencies = {}, optionalDependencies = {} } = parsed as Readonly<Record<string, object | undefined>>;
  return Object.keys({ ...dependencies, ...optionalDependencies });
}

/** `name` in `folder` or the nearest folder above that has it. */
function nearest(folder: string, name: string): string | null {
  const path = join(folder, name);
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) {
    return path;
  }
  const parent = dirname(folder);
  return parent === folder ? null : nearest(parent, name);
}
