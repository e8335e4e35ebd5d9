import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { until } from '../../../src/primary/cli/demo/until.ts';
import { MetricsServer } from '../../../src/primary/stats/metricsServer.ts';
import { boundaryOver, CollectingLog } from '../../support/collectingLog.ts';

describe('server for Prometheus', () => {
  let log: CollectingLog;
  let server: MetricsServer;
  let text: () => string;
  const sockets: Socket[] = [];

  async function serve(patienceMs: number = 10_000): Promise<void> {
    server = new MetricsServer({
      host: '127.0.0.1',
      port: 0,
      path: '/metrics',
      text: () => text(),
      boundary: boundaryOver(log),
      patienceMs,
    });
    await server.listen();
  }

  const get = (path: string, options: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.port}${path}`, options);

  function open(): Socket {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    sockets.push(socket);
    return socket;
  }

  beforeEach(() => {
    log = new CollectingLog();
    text = () => 'weft_health 1\n';
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) {
      socket.destroy();
    }
    await server.close();
  });

  it('answers GET of its path with the text of now', async () => {
    await serve();
    const response = await get('/metrics?x=1');
    expect(response.status).to.equal(200);
    expect(response.headers.get('content-type')).to.equal('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).to.equal('weft_health 1\n');
    text = () => 'weft_health 0\n';
    expect(await (await get('/metrics')).text()).to.equal('weft_health 0\n');
  });

  it('answers nothing else', async () => {
    await serve();
    for (const [path, method, status] of [
      ['/', 'GET', 404],
      ['/metrics/', 'GET', 404],
      ['/metrics', 'POST', 405],
      ['/metrics', 'DELETE', 405],
      ['/other', 'POST', 404],
    ] as const) {
      const response = await get(path, { method, ...(method === 'POST' ? { body: 'x'.repeat(100_000) } : {}) });
      expect(response.status, `${method} ${path}`).to.equal(status);
      expect(await response.text()).to.equal('');
    }
  });

  it('cuts off who says nothing, and who says it too slowly', async () => {
    await serve(200);
    const silent = open();
    const slow = open();
    slow.write('GET /metrics HTTP/1.1\r\n');
    await Promise.all([once(silent, 'close'), once(slow, 'close')]);
    expect((await get('/metrics')).status).to.equal(200);
  });

  it('lets few in at a time, and the next when they have gone', async () => {
    await serve();
    const first = Array.from({ length: 32 }, open);
    await Promise.all(first.map((socket) => once(socket, 'connect')));
    // What one has said is known to the server before it looks at another connection.
    await Promise.all(
      first.map((socket) => {
        socket.write('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n');
        return once(socket, 'data');
      }),
    );
    await once(open(), 'close');
    for (const socket of first) {
      socket.destroy();
    }
    await until('room for another client', async () => (await get('/metrics').catch(() => null))?.status === 200);
  });

  it('survives a fault of what it serves, and counts it', async () => {
    await serve();
    text = () => {
      throw new Error('no such table');
    };
    expect(await get('/metrics').catch(() => null)).to.equal(null);
    expect(log.lines[0].fields).to.deep.equal({ entry: 'stats', error: 'no such table' });
    text = () => 'a 1\n';
    expect((await get('/metrics')).status).to.equal(200);
  });

  it('says when its address is taken', async () => {
    await serve();
    const other = new MetricsServer({
      host: '127.0.0.1',
      port: server.port,
      path: '/',
      text: () => '',
      boundary: boundaryOver(log),
    });
    const error = await other.listen().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(String(error)).to.match(/EADDRINUSE/);
    await other.close();
  });
});
