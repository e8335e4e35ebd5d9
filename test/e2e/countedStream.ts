/** Runs `countedStreamProgram.ts` between two namespaces of a lab: one connection that must survive what a test does. */
import { fileURLToPath } from 'node:url';
import type { Lab, Namespace } from '../../src/primary/cli/demo/lab.ts';
import type { Program } from '../../src/primary/cli/demo/program.ts';

export interface CountedResult {
  readonly sent: number;
  readonly echoed: number;
  /** Between two arrivals, less the time in which the machine did not let the client run. */
  readonly longestGapMs: number;
  readonly fault?: string;
}

const PROGRAM = fileURLToPath(new URL('./countedStreamProgram.js', import.meta.url));
const PORT = '7007';

export class CountedStream {
  readonly #client: Program;
  readonly #server: Program;

  private constructor(client: Program, server: Program) {
    this.#client = client;
    this.#server = server;
  }

  /** Resolves when the first records have come back. */
  static async start(lab: Lab, from: Namespace, to: Namespace, address: string): Promise<CountedStream> {
    const server = lab.start(to, [process.execPath, PROGRAM, 'serve', address, PORT]);
    await server.waitForLine(/listening/);
    const client = lab.start(from, [process.execPath, PROGRAM, 'count', address, PORT]);
    await client.waitForLine(/echoed/);
    return new CountedStream(client, server);
  }

  /** Waits until `records` more have come back; 200 of them take at least a second. */
  async advance(records: number): Promise<void> {
    const { lines } = this.#client;
    const before = Number(/\d+/.exec(lines[lines.length - 1])?.[0] ?? 0);
    for (let mark = lines.length; ; mark++) {
      const line = await this.#client.waitForLine(/./, 20_000, mark);
      if (Number(/^echoed (\d+)/.exec(line)?.[1] ?? Number.NaN) >= before + records) {
        return;
      }
      if (!line.startsWith('echoed')) {
        throw new Error(`the stream ended: ${line}`);
      }
    }
  }

  async finish(): Promise<CountedResult> {
    await this.#client.stop();
    await this.#server.stop();
    const { lines } = this.#client;
    return JSON.parse(lines[lines.length - 1]) as CountedResult;
  }
}
