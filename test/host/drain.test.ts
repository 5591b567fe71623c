import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WorkingDirectory } from '../cli/latchkey.ts';
import { parseAnswer, readAll, requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const BODY = 'grant_type=client_credentials';

function tokenRequestHead(host: string): string {
  const basic = Buffer.from('demo-service:demo-service-secret').toString('base64');
  return [
    'POST /token HTTP/1.1',
    `Host: ${host}`,
    `Authorization: Basic ${basic}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${BODY.length}`,
    '',
    '',
  ].join('\r\n');
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** One answer, on a connection that stays. */
async function ask(socket: Socket, request: string): Promise<void> {
  socket.write(request);
  await once(socket, 'data');
}

describe('Connection draining', () => {
  let server: TestServer;
  let host: string;
  beforeEach(async () => {
    server = await startTestServer();
    host = new URL(server.issuer).host;
  });

  it('The server closes a connection that never sent a request', async () => {
    const silent = await connected(server.port);
    const closed = once(silent, 'close');
    await server.close();
    await closed;
  });

  it('The server finishes a request that has begun, and closes its connection after the response', async () => {
    const socket = await connected(server.port);
    const answer = readAll(socket);
    socket.write(tokenRequestHead(host) + BODY.slice(0, 5));
    await ask(await connected(server.port), `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const closed = server.close();
    socket.write(BODY.slice(5));
    const { status, headers, body } = parseAnswer(await answer);
    assert.equal(status, 200);
    assert.equal(headers.get('connection'), 'close');
    assert.match(body, /"access_token":"ey/);
    await closed;
  });

  it('The server closes idle keep-alive connections at once', async () => {
    const socket = await connected(server.port);
    await ask(socket, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const ended = once(socket, 'close');
    await server.close();
    await ended;
  });

  it('The draining server refuses new connections and reports on open ones that it is not ready', async () => {
    const socket = await connected(server.port);
    const answer = readAll(socket);
    socket.write(`GET /readyz HTTP/1.1\r\nHost: ${host}\r\n`);
    await ask(await connected(server.port), `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const closed = server.close();
    const late = connect(server.port, '127.0.0.1');
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
    socket.write('\r\n');
    const { status, body } = parseAnswer(await answer);
    assert.equal(status, 503);
    assert.deepEqual(JSON.parse(body), { status: 'draining' });
    await closed;
  });

  it('The leaving server still accepts connections, and closes each one after its response', async () => {
    const resting = await connected(server.port);
    await ask(resting, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const busy = await connected(server.port);
    const answerOfBusy = readAll(busy);
    busy.write(tokenRequestHead(host) + BODY.slice(0, 5));
    await ask(await connected(server.port), `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    server.leave();
    busy.write(BODY.slice(5));
    const fresh = await connected(server.port);
    const sent = `${tokenRequestHead(host)}${BODY}`;
    const answers = [answerOfBusy, readAll(resting), readAll(fresh)];
    resting.write(sent);
    fresh.write(sent);
    for (const answer of await Promise.all(answers)) {
      const { status, headers } = parseAnswer(answer);
      assert.deepEqual([status, headers.get('connection')], [200, 'close']);
    }
    const ready = await sendRaw(server.port, requestOf('GET /readyz HTTP/1.1', [`Host: ${host}`]));
    assert.deepEqual([ready.status, JSON.parse(ready.body)], [503, { status: 'draining' }]);
    await server.close();
  });

  it('The server closes all connections when it must stop immediately', async () => {
    const socket = await connected(server.port);
    socket.write(tokenRequestHead(host) + BODY.slice(0, 5));
    await ask(await connected(server.port), `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const answer = readAll(socket);
    const closed = server.close();
    server.closeNow();
    assert.equal(await answer, '');
    await closed;
  });
});

describe('Connection draining on SIGTERM', () => {
  let directory: WorkingDirectory;
  beforeEach(() => {
    directory = new WorkingDirectory();
  });
  afterEach(() => directory.remove());

  it('The process answers the request that it has begun to read, and exits with code 0', async () => {
    directory.write('latchkey.yaml', 'issuer: http://localhost:3000\nlisten: { port: 0 }\nlog: { format: json }\n');
    const child = directory.start(['start']);
    const [port] = await child.printed(/"port":(\d+).*"ready"/);
    const socket = await connected(Number(port));
    const answer = readAll(socket);
    socket.write(tokenRequestHead('localhost:3000') + BODY.slice(0, 5));
    await ask(await connected(Number(port)), 'GET /healthz HTTP/1.1\r\nHost: localhost:3000\r\n\r\n');
    child.kill('SIGTERM');
    await child.printed(/shutting down/);
    socket.write(BODY.slice(5));
    const { status, body } = parseAnswer(await answer);
    assert.equal(status, 401);
    assert.match(body, /"error":"invalid_client"/);
    const { code, err } = await child.ended;
    assert.deepEqual([code, err.split('\n').length], [0, 2]);
  });
});
