/** The usage text of the program as a whole, and the streams that every command writes to. */

import { hintOf } from '../config/nearest.ts';

/** Where a command prints; tests pass their own. */
export interface Io {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** One command of the program: its name and arguments, and what it does in a line. */
interface CommandLine {
  readonly call: string;
  readonly purpose: string;
}

const COMMANDS: readonly CommandLine[] = [
  { call: 'run -config PATH', purpose: 'Run the node in the foreground. SIGHUP reloads, SIGTERM and SIGINT stop it.' },
  {
    call: 'check -config PATH [-strict]',
    purpose: 'Read and check a configuration, print every problem, start nothing.',
  },
  { call: 'cert MODE', purpose: 'Make, show, check and renew certificates; see "weft cert -help".' },
  { call: 'status', purpose: 'Show a running node: device, workers, certificates.' },
  { call: 'hosts', purpose: 'Show the tunnels of a running node.' },
  { call: 'why SRC DST PROTO [PORTS]', purpose: 'Explain what a running node would do with a packet.' },
  { call: 'firewall rules|flows', purpose: 'Show the rules of a running node with their hits, and its live flows.' },
  { call: 'firewall diff -config NEW', purpose: 'Show which live flows a reload with NEW would cut.' },
  { call: 'lighthouse list|query ADDRESS', purpose: 'Show which hosts a running node knows, and where they are.' },
  { call: 'metrics [PREFIX]', purpose: 'Show the counters of a running node.' },
  { call: 'demo', purpose: 'Build two nodes in network namespaces, ping and measure them, clean up (needs root).' },
  { call: 'schema', purpose: 'Print the JSON Schema of a configuration, for editors.' },
  { call: 'version', purpose: 'Print the version.' },
  { call: 'help', purpose: 'Print this text.' },
];

/** The command that was probably meant, as the end of a complaint; empty when none is near. */
export function commandHint(word: string): string {
  return hintOf(
    word,
    COMMANDS.map(({ call }) => call.split(' ')[0]),
  );
}

/** The text of `weft help`. */
export function usage(): string {
  const width = Math.max(...COMMANDS.map((command) => command.call.length));
  const lines = COMMANDS.map((command) => `  weft ${command.call.padEnd(width)}  ${command.purpose}\n`);
  return (
    'weft is a node of a Nebula-compatible overlay network.\n\n' +
    `Usage:\n${lines.join('')}\n` +
    'PATH is a YAML file, or a directory whose .yaml and .yml files are merged.\n' +
    'As with nebula, "weft -config PATH" runs the node, with -test it checks instead, and "weft -version" works.\n' +
    'Flags take one dash or two: -x value, -x=value, --x value.\n'
  );
}
