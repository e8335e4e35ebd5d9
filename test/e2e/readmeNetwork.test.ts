/**
 * README's "A real network", by its own blocks: the package is packed and installed, the certificates are made, three
 * hosts with a lighthouse start from the files as they stand there, and the two that know only the lighthouse find each
 * other. Paths and the lighthouse's name are put in their place; nothing else of the text is changed.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Lab, type Namespace } from '../../src/primary/cli/demo/lab.ts';
import { Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { repositoryRoot } from '../support/sourceTree.ts';
import { checkoutInto } from './workingTree.ts';

const HOSTS = ['harbour', 'laptop', 'studio'] as const;
const ADDRESS = { harbour: '192.0.2.1', laptop: '192.0.2.2', studio: '192.0.2.3' } as const;

describe("README's real network", function () {
  this.timeout(180_000);
  let folder = '';
  let lab: Lab | null = null;

  before(function () {
    requireLab(this, 'ping', 'git');
    folder = mkdtempSync(join(tmpdir(), 'weft-readme-'));
  });

  after(() => {
    lab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('comes up as written, and the two hosts behind the lighthouse reach each other', async () => {
    const started = new Lab('t');
    lab = started;
    const checkout = join(folder, 'weft');
    checkoutInto(checkout);
    const env = {
      ...process.env,
      npm_config_prefix: join(folder, 'prefix'),
      PATH: `${join(folder, 'prefix/bin')}:${process.env['PATH']}`,
    };
    await runBlock(blockWith('npm pack'), checkout, env);
    await runBlock(blockWith('weft cert ca'), folder, env);
    rmSync(checkout, { recursive: true });

    const namespaces = HOSTS.map((host) => started.namespace(host));
    started.lan(namespaces.map((namespace, index) => ({ namespace, addresses: [`${ADDRESS[HOSTS[index]]}/24`] })));
    const [run] = blockWith('weft run')
      .split('\n')
      .filter((line) => line.startsWith('sudo weft run'));
    for (const [index, host] of HOSTS.entries()) {
      const home = makeHome(folder, host);
      await runBlock(here(`weft check -config /etc/weft/config.yml`, home), folder, env);
      const command = here(run.replace('sudo ', ''), home);
      const node = started.start(namespaces[index], ['sh', '-c', `exec ${command}`], { env, title: host });
      await node.waitForLine(/weft is up/);
    }
    const ping = blockWith('ping -c 3').split('\n')[0];
    await until('studio to answer to laptop', () => answers(started, namespaces[1], ping, env));
    const hosts = here('weft hosts -socket /etc/weft/api.sock', join(folder, 'laptop'));
    const shown = started.start(namespaces[1], ['sh', '-c', hosts], { env });
    await shown.exited;
    expect(shown.stdout, shown.lines.join('\n')).to.include('10.86.0.3').and.to.include(ADDRESS.studio);
  });
});

async function answers(lab: Lab, from: Namespace, words: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const program = lab.start(from, ['sh', '-c', `${words} -W 2`], { env });
  return (await program.exited).code === 0;
}

/** The files of one host as the text says, in a folder that stands for its /etc/weft. */
function makeHome(folder: string, host: (typeof HOSTS)[number]): string {
  const home = join(folder, host);
  mkdirSync(home);
  for (const name of ['ca.crt', `${host}.crt`, `${host}.key`]) {
    cpSync(join(folder, name), join(home, name));
  }
  const file = host === 'harbour' ? blockWith('am_lighthouse: true') : blockWith('hosts: ["10.86.0.1"]');
  const own = file.replaceAll('laptop', host).replaceAll('harbour.example.org', ADDRESS.harbour);
  // The three of this test share /run, so the local socket stands beside the files.
  writeFileSync(join(home, 'config.yml'), here(`${own}\napi:\n  socket: /etc/weft/api.sock\n`, home));
  return home;
}

function here(text: string, home: string): string {
  return text.replaceAll('/etc/weft', home);
}

/** The one fenced block of README that has these words. */
function blockWith(words: string): string {
  const readme = readFileSync(join(repositoryRoot(), 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```(?:sh|yaml)\n([\s\S]*?)```/g)].map((match) => match[1]);
  const found = blocks.filter((block) => block.includes(words));
  expect(found, `blocks of README with ${words}`).to.have.length(1);
  return found[0];
}

async function runBlock(block: string, directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  const program = new Program('README', ['sh', '-ec', block], { directory, env });
  const status = await program.exited;
  expect(status, `${block}\n${program.lines.join('\n')}`).to.deep.equal({ code: 0, signal: null });
}
