/** The device of a running node and what the machine around it does: names, routes, links that go and come. */
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { requireLab } from '../support/environment.ts';
import { type ConfigTree, type NodeOptions, TestNode, UNDERLAY_PORT, WEFT_MAIN } from '../support/nodes.ts';
import type { NodeFiles } from '../support/pki.ts';
import { WeftPki } from '../support/weftPki.ts';

describe('the device of a node', function () {
  this.timeout(60_000);
  let lab: Lab;
  let host: Namespace;
  let pki: WeftPki;

  before(function () {
    requireLab(this, 'ip');
  });
  beforeEach(() => {
    lab = new Lab('t');
    host = lab.namespace('host');
    pki = new WeftPki(lab.directory, 'ca');
  });
  afterEach(() => {
    lab.close();
  });

  function filesFor(networks: string): NodeFiles {
    const host = pki.key('node');
    return { ca: pki.ca, key: host.key, cert: pki.certify(host, { networks }) };
  }

  function nodeWith(config: ConfigTree, wishes: Partial<NodeOptions> = {}): TestNode {
    const files = wishes.files ?? filesFor('10.86.0.1/24,fd86::1/64');
    return new TestNode(lab, host, { kind: 'weft', label: 'node', ...wishes, files, config });
  }

  it('gives its name to the control socket when the kernel chose it', async () => {
    const unnamed = { tun: { dev: undefined }, api: { socket: undefined } };
    const second = { label: 'second', files: filesFor('10.87.0.1/24'), port: UNDERLAY_PORT + 1 };
    const nodes = [nodeWith(unnamed), nodeWith(unnamed, second)];
    for (const node of nodes) {
      await node.launch().waitForLine(/weft is up/);
    }
    for (const device of ['tun0', 'tun1']) {
      const asked = await lab.run(host, [process.execPath, WEFT_MAIN, 'status', '-socket', `/run/weft/${device}.sock`]);
      expect(asked.stdout, asked.lines.join('\n')).to.include(device);
    }
  });
});
