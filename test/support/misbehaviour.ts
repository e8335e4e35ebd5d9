/**
 * Workers that misbehave on a signal: a script is put before the node's own by NODE_OPTIONS. SIGUSR2 to a worker starts
 * it; primaries are not touched.
 */

const SCRIPTS = {
  /** Never returns to the event loop. */
  loop: 'for (;;) {}',
  /** Fills the heap in steps between which it turns its loop, and keeps everything. */
  heap: 'const kept = []; setInterval(() => kept.push(new Array(500_000).fill(1)), 5);',
} as const;

/** The environment of a node whose workers do this on SIGUSR2. */
export function misbehaviour(kind: keyof typeof SCRIPTS): NodeJS.ProcessEnv {
  const code = `if (process.argv[1]?.endsWith('/worker/main.js')) process.on('SIGUSR2', () => { ${SCRIPTS[kind]} });`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}
