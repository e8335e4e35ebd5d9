import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { nobodyIds } from '../../../src/shared/sys/privileges.ts';

describe('nobodyIds', () => {
  function idsWith(passwd: string): unknown {
    const directory = mkdtempSync(join(tmpdir(), 'weft-'));
    try {
      const path = join(directory, 'passwd');
      writeFileSync(path, passwd);
      return nobodyIds(path);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  it('reads the ids of nobody', () => {
    const passwd = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:99:98:n:/:/sbin/nologin\n';
    expect(idsWith(passwd)).to.deep.equal({ uid: 99, gid: 98 });
  });

  it('never takes root or nonsense for nobody', () => {
    const overflow = { uid: 65534, gid: 65534 };
    expect(idsWith('nobody:x:0:0::/:\n')).to.deep.equal(overflow);
    expect(idsWith('nobody:x:abc:1::/:\n')).to.deep.equal(overflow);
    expect(idsWith('nobody\n')).to.deep.equal(overflow);
    expect(nobodyIds('/does/not/exist')).to.deep.equal(overflow);
  });
});
