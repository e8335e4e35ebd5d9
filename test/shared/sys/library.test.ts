import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loadLibrary, readCString } from '../../../src/shared/sys/library.ts';

describe('loadLibrary', () => {
  it('loads a library and calls its functions', () => {
    const { library, reasons } = loadLibrary({
      names: ['libdoes-not-exist.so.9', 'libm.so.6', 'libc.musl-x86_64.so.1'],
      functions: { labs: ['int64_t', ['int64_t']] },
    });
    const found = library ?? loadLibrary({ names: [null], functions: { labs: ['int64_t', ['int64_t']] } }).library;
    expect(found?.functions.labs(-5)).to.equal(5);
    expect(reasons[0]).to.contain('libdoes-not-exist.so.9: ');
  });

  it('finds functions of the node binary itself', () => {
    const { library } = loadLibrary({ names: [null], functions: { OpenSSL_version: ['uintptr_t', ['int']] } });
    expect(library?.path).to.equal('');
    expect(readCString(library?.functions.OpenSSL_version(0) ?? 0)).to.match(/^OpenSSL 3/);
    expect(readCString(0)).to.equal('');
  });

  it('is null when a symbol is missing or the library is rejected, and says why for each name', () => {
    const missing = loadLibrary({ names: [null], functions: { weft_no_such_symbol: ['int', []] } });
    expect(missing.library).to.equal(null);
    expect(missing.reasons).to.have.length(1);
    expect(missing.reasons[0]).to.contain('weft_no_such_symbol');
    const rejected = loadLibrary({
      names: [null],
      functions: { getpid: ['int', []] },
      reject: (functions) => (functions.getpid() > 0 ? 'too old' : null),
    });
    expect(rejected).to.deep.equal({ library: null, reasons: ['node binary: too old'] });
  });
});
