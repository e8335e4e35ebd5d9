/**
 * Primaries with a defect that a signal brings out: a script is put before the node's own by NODE_OPTIONS and waits for
 * SIGUSR2. Workers are not touched.
 */
const control = (file: string): string => JSON.stringify(new URL(`../../src/primary/control/${file}`, import.meta.url));

const SCRIPTS = {
  /** Two faults that belong to no entry. */
  uncaught: `setTimeout(() => { throw new Error('of nobody'); }); Promise.reject(new Error('of nobody, either'));`,
  /** The control plane cannot take any handshake from now on, and after the next signal it can again. */
  handshake: `
    const { prototype } = (await import(${control('controlPlane.js')})).ControlPlane;
    const { onHandshake } = prototype;
    if (globalThis.whole === undefined) {
      globalThis.whole = onHandshake;
      prototype.onHandshake = () => { throw new TypeError('half of it'); };
    } else {
      prototype.onHandshake = globalThis.whole;
    }`,
  /** The next tunnel finds the tables of the core wrong. */
  broken: `
    const { invariant } = await import(${control('invariant.js')});
    const { prototype } = (await import(${control('tunnels/hostTunnels.js')})).HostTunnels;
    prototype.add = () => invariant(false, 'two owners of a slot');`,
} as const;

/** The environment of a node with this defect. */
export function faultyCore(kind: keyof typeof SCRIPTS): NodeJS.ProcessEnv {
  const code = `if (process.argv[1]?.endsWith('/primary/main.js')) process.on('SIGUSR2', async () => { ${SCRIPTS[kind]} });`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}
