import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { openApi } from '../../../src/primary/api/open.ts';
import { type ApiRoute, ApiServer } from '../../../src/primary/api/server.ts';
import { SocketFileError } from '../../../src/primary/api/socketFile.ts';
import { until } from '../../../src/primary/cli/demo/until.ts';
import { InspectionError } from '../../../src/primary/inspection/nodeView.ts';
import { boundaryOver, CollectingLog } from '../../support/collectingLog.ts';
import { InspectedNode } from '../inspectedNode.ts';

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly value: { readonly [key: string]: unknown };
}

const routes: readonly ApiRoute[] = [
  { method: 'GET', path: '/v1/echo', answer: ({ query }) => Object.fromEntries(query) },
  { method: 'POST', path: '/v1/echo', answer: ({ body }) => ({ body }) },
  {
    method: 'GET',
    path: '/v1/no',
    answer: () => {
      throw new InspectionError(409, 'not now', ['because']);
    },
  },
  {
    method: 'GET',
    path: '/v1/broken',
    answer: () => {
      throw new TypeError('secret detail');
    },
  },
];

describe('local API server', () => {
  let directory: string;
  let log: CollectingLog;
  const servers: ApiServer[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-api-'));
    log = new CollectingLog();
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    rmSync(directory, { recursive: true });
  });

  async function serve(path: string, patienceMs: number = 10_000): Promise<string> {
    const server = new ApiServer({ path, routes, boundary: boundaryOver(log), patienceMs });
    servers.push(server);
    await server.listen();
    return path;
  }

  const inPlace = (): Promise<string> => serve(join(directory, 'a.sock'));

  function ask(socketPath: string, method: string, path: string, body: string = ''): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath, method, path, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => {
          const type = response.headers['content-type'] ?? '';
          resolve({ status: response.statusCode ?? 0, type, value: JSON.parse(text) });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  it('answers by path and method, in JSON', async () => {
    const path = await inPlace();
    const get = await ask(path, 'GET', '/v1/echo?a=1&b=%20');
    expect(get).to.deep.equal({ status: 200, type: 'application/json', value: { a: '1', b: ' ' } });
    expect((await ask(path, 'POST', '/v1/echo', '[1]')).value).to.deep.equal({ body: [1] });
  });

  it('says what is wrong with a request', async () => {
    const path = await inPlace();
    const unknown = await ask(path, 'GET', '/v2/echo');
    expect(unknown.status).to.equal(404);
    expect(unknown.value['error']).to.equal('there is no /v2/echo');
    expect((await ask(path, 'DELETE', '/v1/echo')).status).to.equal(405);
    expect(await ask(path, 'POST', '/v1/echo', '{')).to.deep.include({
      status: 400,
      value: { error: 'the body is not JSON' },
    });
    expect(await ask(path, 'GET', '/v1/no')).to.deep.include({
      status: 409,
      value: { error: 'not now', problems: ['because'] },
    });
  });

  it('refuses a body over a mebibyte and goes on', async () => {
    const path = await inPlace();
    const reply = await ask(path, 'POST', '/v1/echo', `"${'x'.repeat(1024 * 1024)}"`).catch(() => null);
    expect(reply === null || reply.status === 413).to.equal(true);
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
  });

  it('survives a faulty route and keeps its details for the log', async () => {
    const path = await inPlace();
    const reply = await ask(path, 'GET', '/v1/broken');
    expect(reply.status).to.equal(500);
    expect(JSON.stringify(reply.value)).not.to.include('secret');
    expect(log.lines[0].fields).to.deep.equal({ entry: 'api', error: 'secret detail' });
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
  });

  it('serves many clients at once, tells the next ones that it is busy, and serves again when there is room', async () => {
    const path = await inPlace();
    const replies = await Promise.all(Array.from({ length: 100 }, () => ask(path, 'GET', '/v1/echo')));
    expect(replies.map(({ status }) => status)).to.deep.equal(new Array(100).fill(200));
    const idle = await Promise.all(Array.from({ length: 128 }, () => connected(path)));
    const refused = await Promise.all(Array.from({ length: 20 }, () => ask(path, 'GET', '/v1/echo')));
    for (const { status, type, value } of refused) {
      expect({ status, type }).to.deep.equal({ status: 503, type: 'application/json' });
      expect(value['error']).to.match(/^the node is busy/);
    }
    for (const socket of idle) {
      socket.destroy();
    }
    await until('room', () => servers[0].clientCount < 128);
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
  });

  it('ends a client that asks too slowly, or takes no answer', async () => {
    const path = await serve(join(directory, 'a.sock'), 50);
    const silent = await connected(path);
    const slow = await connected(path);
    slow.write('GET /v1/echo HT');
    await Promise.all(
      [silent, slow].map((socket) => new Promise<void>((resolve) => socket.resume().once('close', () => resolve()))),
    );
    const deaf = await connected(path);
    deaf.pause();
    deaf.write(`GET /v1/echo?a=${'x'.repeat(4000)} HTTP/1.1\r\nhost: node\r\n\r\n`.repeat(500));
    await until('the end of the deaf client', () => servers[0].clientCount === 0);
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
    deaf.destroy();
  });

  it('takes nothing that a client does for a fault of its own', async () => {
    const path = await inPlace();
    expect((await ask(path, 'GET', 'http://[')).status).to.equal(400);
    const hasty = await connected(path);
    hasty.write('POST /v1/echo HTTP/1.1\r\nhost: node\r\ncontent-length: 9\r\n\r\n[');
    await until('the connection', () => servers[0].clientCount > 0);
    hasty.destroy();
    await until('its end', () => servers[0].clientCount === 0);
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
    expect(log.texts).to.deep.equal([]);
  });

  it('makes directory and socket for their owner, and removes the socket', async () => {
    const path = await serve(join(directory, 'run', 'weft', 'a.sock'));
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(statSync(join(directory, 'run', 'weft')).mode & 0o777).to.equal(0o755);
    await servers.splice(0)[0].close();
    expect(existsSync(path)).to.equal(false);
  });

  it('leaves an existing directory and the umask as they are', async () => {
    const place = join(directory, 'mine');
    mkdirSync(place);
    chmodSync(place, 0o700);
    const umask = process.umask();
    await serve(join(place, 'a.sock'));
    expect(statSync(place).mode & 0o777).to.equal(0o700);
    expect(process.umask()).to.equal(umask);
  });

  it('keeps the socket of a live node', async () => {
    const path = await inPlace();
    const error = await serve(path).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(SocketFileError);
    expect(String(error)).to.match(/another node answers at .*a\.sock; stop it, or give/);
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
  });

  it('replaces the socket of a dead node', async () => {
    const path = join(directory, 'a.sock');
    await leaveSocket(path);
    await serve(path);
    expect((await ask(path, 'GET', '/v1/echo')).status).to.equal(200);
  });

  it('removes nothing that is no socket, and takes no path that is too long', async () => {
    const path = join(directory, 'file');
    writeFileSync(path, 'precious');
    expect(String(await serve(path).catch((reason: unknown) => reason))).to.match(/exists and is no socket/);
    expect(existsSync(path)).to.equal(true);
    const long = join(directory, 'x'.repeat(120));
    expect(String(await serve(long).catch((reason: unknown) => reason))).to.match(/longer than the 107 bytes/);
    const below = join(path, 'a.sock');
    expect(String(await serve(below).catch((reason: unknown) => reason))).to.match(/cannot make the directory/);
  });

  it('is opened where the configuration says, or refuses; off means off', async () => {
    const path = join(directory, 'node.sock');
    const server = await openApi(new InspectedNode({ api: { socket: path } }), log, boundaryOver(log));
    servers.push(server!);
    expect((await ask(path, 'GET', '/v1/status')).value['version']).to.equal('1.2.3');
    const second = await openApi(new InspectedNode({ api: { socket: path } }), log, boundaryOver(log)).catch(
      (reason: unknown) => reason,
    );
    expect(second).to.be.instanceOf(SocketFileError);
    expect(await openApi(new InspectedNode({ api: { socket: '' } }), log, boundaryOver(log))).to.equal(null);
  });

  async function connected(path: string): Promise<Socket> {
    const socket = connect(path);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  /** A listener that goes without cleaning up, as a killed process does: libuv would remove the file on close. */
  async function leaveSocket(path: string): Promise<void> {
    const other = `${path}.tmp`;
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(other, resolve));
    renameSync(other, path);
    await new Promise<void>((resolve) => listener.close(() => resolve()));
    expect(existsSync(path)).to.equal(true);
  }
});
