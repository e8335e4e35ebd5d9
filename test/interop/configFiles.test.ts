/**
 * Configuration files beside Debian's nebula 1.6.1: what `nebula -test` accepts, `weft` accepts with the same values in
 * force, and what it refuses, weft refuses. Where newer releases differ from 1.6.1, the table says so and weft follows
 * those.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Config } from '../../src/primary/config/config.ts';
import { loadConfig } from '../../src/primary/config/loader.ts';
import { formatProblem, type Problem } from '../../src/primary/config/problems.ts';
import { validate } from '../../src/primary/validators.ts';

const NEBULA = '/usr/bin/nebula';
const NEBULA_CERT = '/usr/bin/nebula-cert';

/** The own address is 10.1.0.5/16. */
const LIGHTHOUSE = 'static_host_map: {"10.1.0.1": ["192.0.2.1:4242"]}\nlighthouse: {hosts: ["10.1.0.1"]}\n';
const RULES = 'firewall: {outbound: [{port: any, proto: any, host: any}]}\n';

interface Accepted {
  readonly text: string;
  /** The key that is warned about; null when there is nothing to say. */
  readonly warned: string | null;
  readonly inForce?: readonly [value: (config: Config) => unknown, expected: unknown];
}

const ACCEPTED: readonly Accepted[] = [
  { text: `${LIGHTHOUSE}${RULES}`, warned: null },
  { text: `${LIGHTHOUSE}${RULES}local_range: ""\nstats: {interval: ""}\n`, warned: null },
  { text: `${LIGHTHOUSE}${RULES}relay:\n  relays:\n    -10.1.1.1\n`, warned: 'relay.relays' },
  {
    text: `${RULES}lighthouse:\n  hosts:\n    -10.1.1.1\n`,
    warned: 'lighthouse.hosts',
    inForce: [(config) => config.lighthouse.hosts, []],
  },
  {
    text: `${RULES}lighthouse: {hosts: "10.1.0.1"}\n`,
    warned: 'lighthouse.hosts',
    inForce: [(config) => config.lighthouse.hosts, []],
  },
  {
    text: `${LIGHTHOUSE}firewall: {conntrack: {default_timeout: 10}}\n`,
    warned: 'firewall.conntrack.default_timeout',
    inForce: [(config) => config.firewall.conntrack.defaultTimeoutMs, 600_000],
  },
  {
    text: `${LIGHTHOUSE}${RULES}preferred_ranges: "10.0.0.0/8"\n`,
    warned: 'preferred_ranges',
    inForce: [(config) => config.preferredRanges, []],
  },
  { text: `${LIGHTHOUSE}${RULES}relay: {relays: [x]}\n`, warned: 'relay.relays[0]' },
  {
    text: `${LIGHTHOUSE}${RULES}listen: {so_mark: 4294967295}\n`,
    warned: null,
    inForce: [(config) => config.listen.soMark, 0xffff_ffff],
  },
  {
    text: `${LIGHTHOUSE}${RULES}listen: {port: true}\n`,
    warned: 'listen.port',
    inForce: [(config) => config.listen.port, 0],
  },
  {
    text: `${LIGHTHOUSE}${RULES}listen: {host: ""}\n`,
    warned: 'listen.host',
    inForce: [(config) => config.listen.host, '::'],
  },
  { text: `${LIGHTHOUSE}${RULES}listen: 5\n`, warned: 'listen' },
  {
    text: `${LIGHTHOUSE}${RULES}tun: {mtu: big}\n`,
    warned: 'tun.mtu',
    inForce: [(config) => config.tun.mtu, 1300],
  },
  {
    text: `${LIGHTHOUSE}${RULES}punchy: {punch: 5}\n`,
    warned: 'punchy.punch',
    inForce: [(config) => config.punchy.punch, false],
  },
  { text: `${RULES}static_host_map: 5\n`, warned: 'static_host_map' },
  { text: `${LIGHTHOUSE}${RULES}handshakes: {retries: 0}\n`, warned: 'handshakes.retries' },
  { text: `${LIGHTHOUSE}${RULES}timers: {connection_alive_interval: 0}\n`, warned: 'timers.connection_alive_interval' },
  { text: `${LIGHTHOUSE}${RULES}logging: {level: INFO, format: JSON}\n`, warned: null },
  {
    text: `static_host_map: {"10.1.0.1": ["192.0.2.1:4242"]}\n${RULES}lighthouse: {hosts: ["10.1.0.1"], local_allow_list: {interfaces: {"(?i)ETH.*": true}}}\n`,
    warned: null,
    inForce: [(config) => config.lighthouse.localAllowList.interfaces[0].pattern.test('eth0'), true],
  },
  { text: `static_host_map: {"10.1.0.5": "192.0.2.1:1"}\n${RULES}`, warned: 'static_host_map["10.1.0.5"]' },
  {
    text: `${RULES}static_host_map: {"10.1.0.1": "192.0.2.1:1"}\nlighthouse: {hosts: ["10.1.0.1"], advertise_addrs: ["10.1.0.5:4242"]}\n`,
    warned: 'lighthouse.advertise_addrs[0]',
  },
];

const REFUSED: readonly string[] = [
  'cipher: AES\n',
  'logging: {level: ""}\n',
  'static_host_map: {"10.1.0.1 ": ["192.0.2.1:4242"]}\n',
  'lighthouse: {hosts: ["10.1.0.1 "]}\nstatic_host_map: {"10.1.0.1": ["192.0.2.1:4242"]}\n',
  'lighthouse: {hosts: ["10.1.0.1"]}\n',
  'lighthouse: {am_lighthouse: true}\n',
  'lighthouse: {remote_allow_list: ""}\n',
  'lighthouse: {remote_allow_list: {"10.0.0.0/8 ": true}}\n',
  'firewall: {inbound: [{port: any, proto: any, cidr: "10.0.0.0/8 "}]}\n',
  'firewall: {inbound: [{port: 443, proto: http, host: any}]}\n',
  'firewall: {inbound: 5}\n',
];

/** Accepted by 1.6.1, refused by 1.10 and later, and by weft. */
const REFUSED_SINCE: readonly string[] = [
  'firewall: {inbound: [{port: any, proto: any, cidr: "10.0.0.0/024"}]}\n',
  'lighthouse: {remote_allow_list: {"10.0.0.0/024": true}}\n',
];

/** Refused when the device is made, which `nebula -test` does not come to. */
const REFUSED_AT_START: readonly string[] = [
  'tun: {dev: abcdefghijklmnopqrst}\n',
  'tun: {routes: [{route: 10.2.0.0/16, mtu: 1400}]}\n',
  'tun: {unsafe_routes: [{route: 10.1.4.0/24, via: 10.1.0.3}]}\n',
  'tun: {routes: ""}\n',
];

describe('configuration files beside nebula', function () {
  this.timeout(60_000);
  let directory: string;
  let pki: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-config-'));
    const cert = (...argv: readonly string[]): void => {
      execFileSync(NEBULA_CERT, argv, { cwd: directory, stdio: 'ignore' });
    };
    cert('ca', '-name', 'test', '-duration', '8760h');
    cert('sign', '-name', 'host', '-ip', '10.1.0.5/16');
    pki = `pki: {ca: ${directory}/ca.crt, cert: ${directory}/host.crt, key: ${directory}/host.key}\n`;
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  function write(...texts: readonly string[]): string {
    const files = join(directory, 'files');
    rmSync(files, { recursive: true, force: true });
    mkdirSync(files);
    for (const [index, text] of [pki, ...texts].entries()) {
      writeFileSync(join(files, `${index}.yml`), text);
    }
    return files;
  }

  function nebulaTakes(path: string): boolean {
    return spawnSync(NEBULA, ['-test', '-config', path], { stdio: 'ignore' }).status === 0;
  }

  function weft(path: string): { readonly config: Config | null; readonly problems: readonly Problem[] } {
    const { config, problems, locate } = loadConfig(path);
    if (config === null) {
      return { config, problems };
    }
    const validated = validate(config, locate, Math.floor(Date.now() / 1000));
    return { config: validated.identity === null ? null : config, problems: [...problems, ...validated.problems] };
  }

  function linesOf(problems: readonly Problem[]): string {
    return problems.map(formatProblem).join('\n');
  }

  for (const { text, warned, inForce } of ACCEPTED) {
    it(`are accepted by both: ${JSON.stringify(text.replace(LIGHTHOUSE, '').replace(RULES, ''))}`, () => {
      const path = write(text);
      expect(nebulaTakes(path), 'nebula').to.equal(true);
      const { config, problems } = weft(path);
      expect(config, linesOf(problems)).to.not.equal(null);
      const paths = problems.map((problem) => problem.path);
      if (warned === null) {
        expect(linesOf(problems)).to.equal('');
      } else {
        expect(paths, linesOf(problems)).to.include(warned);
      }
      if (inForce !== undefined && config !== null) {
        expect(inForce[0](config)).to.deep.equal(inForce[1]);
      }
    });
  }

  for (const text of REFUSED) {
    it(`are refused by both: ${JSON.stringify(text)}`, () => {
      const path = write(text);
      expect(nebulaTakes(path), 'nebula').to.equal(false);
      expect(weft(path).config, 'weft').to.equal(null);
    });
  }

  for (const text of [...REFUSED_SINCE, ...REFUSED_AT_START]) {
    it(`are refused as by newer releases, or by the start: ${JSON.stringify(text)}`, () => {
      const path = write(text);
      expect(nebulaTakes(path), 'nebula -test of 1.6.1').to.equal(true);
      expect(weft(path).config, 'weft').to.equal(null);
    });
  }

  for (const [earlier, later, isTaken, punchy] of [
    ['punchy: true\n', 'punchy: {punch: true, respond: true}\n', true, [true, true]],
    ['punchy: {punch: true, respond: true}\n', 'punchy: true\n', true, [true, false]],
    ['punchy: {punch: true, respond: true}\n', 'punchy: false\n', true, [true, true]],
    ['punchy: true\n', 'punchy: {}\n', true, [true, false]],
    ['preferred_ranges: 10.0.0.0/8\n', 'preferred_ranges: [10.0.0.0/8]\n', true, [false, false]],
    ['preferred_ranges: [10.0.0.0/8]\n', 'preferred_ranges: 10.0.0.0/8\n', false, null],
    ['preferred_ranges: [10.0.0.0/8]\n', 'preferred_ranges: ""\n', false, null],
  ] as const) {
    it(`of a directory are merged alike: ${JSON.stringify([earlier, later])}`, () => {
      const path = write(earlier, later);
      expect(nebulaTakes(path), 'nebula').to.equal(isTaken);
      const { config } = weft(path);
      expect(config === null ? null : [config.punchy.punch, config.punchy.respond]).to.deep.equal(punchy);
    });
  }
});
