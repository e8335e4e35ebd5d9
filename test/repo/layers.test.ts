/** The folders are layers: the source tree keeps the rules, and the rules notice a tree that does not. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { layerViolations } from '../support/layerRules.ts';
import { importsOf, readTree } from '../support/sourceTree.ts';

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

  const broken: readonly (readonly [path: string, text: string, complaint: RegExp])[] = [
    ['src/primary/a.ts', "import { x } from '../worker/x.ts';", /primary may not import src\/worker/],
    ['src/worker/a.ts', "import type { X } from '../primary/x.ts';", /worker may not import src\/primary/],
    ['src/worker/ports/a.ts', "const x = await import('../../primary/x.ts');", /worker may not import src\/primary/],
    ['src/dns/a.ts', "import { x } from '../primary/x.ts';", /dns may not import src\/primary/],
    ['src/primary/dns/a.ts', "import { x } from '../../dns/x.ts';", /primary may not import src\/dns/],
    ['src/shared/ip/a.ts', "export * from '../../worker/x.ts';", /shared may not import src\/worker/],
    ['src/shared/crypto/a.ts', "import koffi from 'koffi';", /only src\/shared\/sys may import koffi/],
    ['test/support/a.ts', "import koffi from 'koffi';", /only src\/shared\/sys may import koffi/],
    ['src/primary/control/a.ts', "import { readFileSync } from 'node:fs';", /pure folder/],
    ['src/primary/control/a.ts', "import pino from 'pino';", /pure folder/],
    ['src/shared/memory/a.ts', "import { mmap } from '../sys/libc.ts';", /only types of src\/shared\/sys/],
    ['src/worker/datapath/a.ts', 'const now = Date.now();', /a\.ts:1 uses Date\.now/],
    ['src/shared/noise/a.ts', '\nrandomBytes(32);', /a\.ts:2 uses randomBytes/],
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
    ['src/shared/noise/hash.ts', "import { createHash } from 'node:crypto';"],
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
