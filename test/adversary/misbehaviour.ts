/**
 * Nodes that misbehave on a signal: a script is put before the node's own by NODE_OPTIONS, and SIGUSR2 to a worker, or to
 * the primary for what is done to that, starts it.
 */

const SCRIPTS = {
  /** Never returns to the event loop. */
  loop: 'for (;;) {}',
  /** Fills the heap in steps between which it turns its loop, and keeps everything. */
  heap: 'const kept = []; setInterval(() => kept.push(new Array(500_000).fill(1)), 5);',
  /** Connects to somewhere, as whoever took a worker over might. */
  connect: "import('node:net').then(({ connect }) => connect(80, '127.0.0.1'));",
} as const;

/** The environment of a node whose workers do this on SIGUSR2. */
export function misbehaviour(kind: keyof typeof SCRIPTS): NodeJS.ProcessEnv {
  return onSignal('/worker/main.js', SCRIPTS[kind]);
}

/** The environment of a node whose primary has a clock that is wrong by so much, and set on SIGUSR2. */
export function clockThatIsSet(fromMs: number, toMs: number): NodeJS.ProcessEnv {
  const script = `const right = Date.now; let wrongMs = ${fromMs}; Date.now = () => right() + wrongMs;`;
  return onSignal('/primary/main.js', `wrongMs = ${toMs};`, script);
}

function onSignal(entry: string, script: string, before: string = ''): NodeJS.ProcessEnv {
  const code = `if (process.argv[1]?.endsWith('${entry}')) { ${before} process.on('SIGUSR2', () => { ${script} }); }`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}
