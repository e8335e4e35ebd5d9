/** The folders are layers: the source tree keeps the rules, and the rules notice a tree that does not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { importsOf, readTree, repositoryRoot, type SourceFile } from '../support/sourceTree.ts';
import {
  circles,
  LAYERS,
  layerTable,
  layerViolations,
  SHARED_BY_ONE,
  unusedPermissions,
  usedByOne,
} from './layerRules.ts';

describe('layers', () => {
  it('are kept by every source file', () => {
    const files = readTree(['src'], ['.ts']);
    expect(files.length).to.be.greaterThan(20);
    expect(layerViolations(files)).to.deep.equal([]);
  });

  it('leave koffi to src/shared/sys in the tests as well', () => {
    const files = readTree(['test'], ['.ts']).filter((file) => file.path !== 'test/repo/layers.test.ts');
    expect(files.length).to.be.greaterThan(20);
    expect(layerViolations(files)).to.deep.equal([]);
  });

  it('use only what stands above them in the table', () => {
    const folders = LAYERS.map(({ folder }) => folder);
    for (const [index, { folder, uses }] of LAYERS.entries()) {
      for (const used of uses.filter((name) => !name.endsWith('.ts'))) {
        const last = folders.findLastIndex((name) => name === used || name.startsWith(`${used}/`));
        expect(last, `${folder} uses ${used}`).to.be.within(0, index);
      }
    }
  });

  it('use all that the table lets them use', () => {
    expect(unusedPermissions(readTree(['src'], ['.ts']))).to.deep.equal([]);
  });

  it('have the table of docs/architecture.md', () => {
    expect(readFileSync(join(repositoryRoot(), 'docs/architecture.md'), 'utf8')).to.include(layerTable());
  });

  it('have no circle of files', () => {
    expect(circles(readTree(['src'], ['.ts']))).to.deep.equal([]);
    const file = (name: string, text: string): SourceFile => ({ path: `src/shared/ip/${name}.ts`, text });
    const [a, b] = [file('a', "import { b } from './b.ts';"), file('b', "import type { C } from './c.ts';")];
    expect(circles([a, b, file('c', "export * from './a.ts';")])).to.have.length(1);
    expect(circles([a, b, file('c', '')])).to.deep.equal([]);
  });

  it('share only what two kinds of process use', () => {
    expect(usedByOne(readTree(['src'], ['.ts']))).to.have.members([...SHARED_BY_ONE.keys()]);
    const shared = { path: 'src/shared/ip/a.ts', text: '' };
    const primary = { path: 'src/primary/a.ts', text: "import '../shared/ip/a.ts';" };
    expect(usedByOne([shared, primary])).to.deep.equal([shared.path]);
    expect(usedByOne([shared, primary, { ...primary, path: 'src/dns/a.ts' }])).to.deep.equal([]);
  });

  const broken: readonly (readonly [path: string, text: string, complaint: RegExp])[] = [
    ['src/primary/a.ts', "import { x } from '../worker/x.ts';", /primary may not use src\/worker/],
    ['src/worker/a.ts', "import type { X } from '../primary/x.ts';", /may not use src\/primary/],
    ['src/worker/ports/a.ts', "const x = await import('../../primary/x.ts');", /may not use src\/primary/],
    ['src/dns/a.ts', "import { x } from '../primary/x.ts';", /may not use src\/primary/],
    ['src/primary/lighthouse/dns/a.ts', "import { x } from '../../../dns/x.ts';", /may not use src\/dns/],
    ['src/shared/ip/a.ts', "export * from '../../worker/x.ts';", /may not use src\/worker/],
    ['src/shared/crypto/a.ts', "import koffi from 'koffi';", /only src\/shared\/sys may import koffi/],
    ['test/support/a.ts', "import koffi from 'koffi';", /only src\/shared\/sys may import koffi/],
    ['src/primary/control/a.ts', "import { readFileSync } from 'node:fs';", /pure folder/],
    ['src/primary/control/a.ts', "import pino from 'pino';", /pure folder/],
    ['src/shared/ipc/a.ts', "import { mmap } from '../sys/libc.ts';", /only types of src\/shared\/sys/],
    ['src/shared/memory/a.ts', "import type { Arena } from '../sys/arena.ts';", /memory may not use src\/shared\/sys/],
    ['src/shared/sys/a.ts', "import { x } from '../cert/x.ts';", /sys may not use src\/shared\/cert/],
    ['src/primary/pki/a.ts', "import { x } from '../control/x.ts';", /pki may not use src\/primary\/control/],
    ['src/primary/api/a.ts', "import { x } from '../node.ts';", /api may not use src\/primary/],
    ['src/worker/offload/a.ts', "import { x } from '../datapath/x.ts';", /offload may not use src\/worker\/datapath/],
    ['src/other/a.ts', "import { x } from './x.ts';", /no layer/],
    ['src/worker/datapath/a.ts', 'const now = Date.now();', /a\.ts:1 uses Date\.now/],
    ['src/primary/control/noise/a.ts', '\nrandomBytes(32);', /a\.ts:2 uses randomBytes/],
    ['src/shared/wire/a.ts', "console.log('x');", /uses console/],
    ['src/primary/control/a.ts', 'setTimeout(f, 1);', /uses setTimeout/],
  ];
  for (const [path, text, complaint] of broken) {
    it(`are broken by ${JSON.stringify(text)} in ${path}`, () => {
      const found = layerViolations([{ path, text }]);
      expect(found).to.have.length(1);
      expect(found[0]).to.match(complaint);
    });
  }

  const kept: readonly (readonly [path: string, text: string])[] = [
    ['src/worker/loop.ts', "import { x } from '../shared/ip/address.ts'; setTimeout(x, performance.now());"],
    ['src/shared/sys/libc.ts', "import koffi from 'koffi';"],
    ['src/worker/datapath/seal.ts', "import type { Arena } from '../../shared/sys/arena.ts';"],
    ['src/primary/control/noise/hash.ts', "import { createHash } from 'node:crypto';"],
    ['src/primary/control/a.ts', '// Date.now() would be wrong here\nconst text = "setTimeout(1)";'],
  ];
  for (const [path, text] of kept) {
    it(`are kept by ${JSON.stringify(text)} in ${path}`, () => {
      expect(layerViolations([{ path, text }])).to.deep.equal([]);
    });
  }
});

describe('importsOf', () => {
  it('finds every form of import', () => {
    const text = `
      import a from 'a';
      import type { B } from 'b';
      import * as c from "c";
      import 'd';
      import {
        e,
        type F,
      } from './e.ts';
      export { g } from 'g';
      export * from 'h';
      const i = await import('i');
      const j = require('j');
      // import k from 'k';
      /* import l from 'l'; */
    `;
    expect(importsOf(text).map(({ specifier }) => specifier)).to.deep.equal([
      ...['a', 'b', 'c', 'd', './e.ts', 'g', 'h', 'i', 'j'],
    ]);
    expect(importsOf(text).filter(({ isTypeOnly }) => isTypeOnly)).to.deep.equal([
      { specifier: 'b', isTypeOnly: true },
    ]);
  });
});
