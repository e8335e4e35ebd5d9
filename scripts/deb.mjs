/**
 * `npm run deb [-- DIRECTORY]`: builds weft_VERSION_ARCH.deb from this checkout, with dpkg-deb and nothing else of Debian's
 * tools. The program is compiled afresh, the dependencies are the ones that the tests of this checkout ran with
 * (`npm ci` first), without what only a developer of them needs. Why it is made like this:
 * docs/decisions/0013-debian-package.md.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const target = process.argv[2] ?? root;
const stage = mkdtempSync(join(tmpdir(), 'weft-deb-'));
const home = join(stage, 'usr/lib/weft');
const docs = join(stage, 'usr/share/doc/weft');
const maintainer = `${process.env.DEBFULLNAME ?? 'the weft authors'} <${process.env.DEBEMAIL ?? 'weft@localhost'}>`;
/** Of the last commit: the same checkout gives the same package. */
const date = commitDate();

/** Of a dependency: what Node loads, and its licence; no command of its own, which is not called here. */
const NEEDED = /\.([cm]?js|json|node)$|^licen[cs]e/i;
const DEVELOPERS_FOLDERS = new Set([
  '.github',
  'benchmarks',
  'doc',
  'docs',
  'example',
  'examples',
  'test',
  'tests',
  'types',
]);
/** A build of koffi for another C library than Debian's. */
const FOREIGN = /\/musl_/;

try {
  process.umask(0o022);
  const dependencies = stageProgram();
  stageSystem();
  stageDocs(dependencies);
  stageControl();
  const architecture = output('dpkg', '--print-architecture');
  const file = join(target, `weft_${debianVersion()}_${architecture}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: String(date.getTime() / 1000) },
  });
  process.stdout.write(`${file}\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** Returns the folders of the dependencies in the checkout. */
function stageProgram() {
  mkdirSync(home, { recursive: true });
  const compiler = join(root, 'node_modules/.bin/tsc');
  execFileSync(compiler, ['-p', join(root, 'tsconfig.json'), '--outDir', join(home, 'dist'), '--sourceMap', 'false'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const { name, version, description, license, type, main, dependencies, engines } = manifest;
  writeJson(join(home, 'package.json'), { name, version, description, license, type, main, engines, dependencies });
  const entry = join(home, 'dist/primary/main.js');
  // Never another Node that stands earlier in somebody's PATH.
  writeFileSync(entry, readFileSync(entry, 'utf8').replace(/^#!.*/, '#!/usr/bin/node'));
  chmodSync(entry, 0o755);
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  symlinkSync('../lib/weft/dist/primary/main.js', join(stage, 'usr/bin/weft'));

  const found = output('npm', 'ls', '--prefix', root, '--omit=dev', '--all', '--parseable').split('\n').slice(1);
  for (const folder of found) {
    cpSync(folder, join(home, relative(root, folder)), { recursive: true, filter: isNeeded });
  }
  forEachFile(home, (path) => path === entry || chmodSync(path, 0o644));
  removeEmpty(home);
  return found;
}

function isNeeded(path) {
  return lstatSync(path).isDirectory()
    ? !DEVELOPERS_FOLDERS.has(basename(path)) && basename(path) !== 'node_modules'
    : NEEDED.test(basename(path)) && !FOREIGN.test(path) && !isCommand(path);
}

function isCommand(path) {
  return readFileSync(path).subarray(0, 2).toString() === '#!';
}

function stageSystem() {
  const units = join(stage, 'usr/lib/systemd/system');
  mkdirSync(units, { recursive: true });
  const unit = readFileSync(join(root, 'deploy/systemd/weft.service'), 'utf8');
  const own = unit.replace(/^# weft as.*$/m, '# weft as a system service: systemctl enable --now weft');
  writeFileSync(join(units, 'weft.service'), own.replace('/usr/bin/env weft', '/usr/bin/weft'));
  const users = join(stage, 'usr/lib/sysusers.d');
  mkdirSync(users, { recursive: true });
  const line = readFileSync(join(root, 'deploy/systemd/weft-sysusers.conf'), 'utf8');
  writeFileSync(join(users, 'weft.conf'), line.replace(/^#.*\n/gm, ''));
  // Certificates and configuration are the operator's: nothing of the package lies there.
  mkdirSync(join(stage, 'etc/weft'), { recursive: true });
}

function stageDocs(dependencies) {
  mkdirSync(join(docs, 'examples'), { recursive: true });
  cpSync(join(root, 'docs'), docs, { recursive: true });
  cpSync(join(root, 'README.md'), join(docs, 'README.md'));
  cpSync(join(root, 'deploy/weft.example.yml'), join(docs, 'examples/weft.example.yml'));
  cpSync(join(root, 'CHANGELOG.md'), join(docs, 'CHANGELOG.md'));
  const entry = `  * See /usr/share/doc/weft/CHANGELOG.md.\n\n -- ${maintainer}  ${date.toUTCString().replace('GMT', '+0000')}\n`;
  const changelog = `weft (${debianVersion()}) unstable; urgency=medium\n\n${entry}`;
  writeFileSync(join(docs, 'changelog.gz'), gzipSync(changelog, { level: 9 }));
  const overrides = join(stage, 'usr/share/lintian/overrides');
  mkdirSync(overrides, { recursive: true });
  cpSync(join(root, 'deploy/debian/lintian-overrides'), join(overrides, 'weft'));
  const licences = dependencies.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim();
    const told = text.includes('Apache License') ? 'See /usr/share/common-licenses/Apache-2.0.' : text;
    return `\n${'-'.repeat(70)}\n${name} ${version}, licence ${license}:\n\n${told}\n`;
  });
  const own = readFileSync(join(root, 'LICENSE'), 'utf8').trim();
  writeFileSync(join(docs, 'copyright'), `weft:\n\n${own}\n\nIt contains these packages:\n${licences.join('')}`);
}

function stageControl() {
  const control = join(stage, 'DEBIAN');
  const files = [];
  forEachFile(stage, (path) => lstatSync(path).isSymbolicLink() || files.push(path));
  const kibibytes = files.reduce((sum, path) => sum + Math.ceil(lstatSync(path).size / 1024), 0);
  const sums = files
    .sort()
    .map((path) => `${createHash('md5').update(readFileSync(path)).digest('hex')}  ${relative(stage, path)}\n`);
  mkdirSync(control);
  writeFileSync(join(control, 'md5sums'), sums.join(''));
  const template = readFileSync(join(root, 'deploy/debian/control'), 'utf8');
  const values = {
    VERSION: debianVersion(),
    ARCHITECTURE: output('dpkg', '--print-architecture'),
    SIZE: String(kibibytes),
    MAINTAINER: maintainer,
  };
  writeFileSync(
    join(control, 'control'),
    template.replace(/@(\w+)@/g, (_, name) => values[name]),
  );
  for (const script of ['postinst', 'prerm', 'postrm']) {
    cpSync(join(root, 'deploy/debian', script), join(control, script));
    chmodSync(join(control, script), 0o755);
  }
}

function commitDate() {
  const seconds = existsSync(join(root, '.git'))
    ? Number(output('git', '-C', root, 'log', '-1', '--format=%ct'))
    : Math.floor(Date.now() / 1000);
  return new Date(seconds * 1000);
}

/** `1.0.0-rc.1` comes before `1.0.0`. */
function debianVersion() {
  return manifest.version.replace('-', '~');
}

function output(command, ...words) {
  return execFileSync(command, words, { encoding: 'utf8' }).trim();
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

function forEachFile(folder, work) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      forEachFile(path, work);
    } else {
      work(path);
    }
  }
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      removeEmpty(join(folder, entry.name));
    }
  }
  if (readdirSync(folder).length === 0) {
    rmSync(folder, { recursive: true });
  }
}
