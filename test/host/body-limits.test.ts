import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { Browser, formOf } from '../support/browser.ts';
import { ALICE, authorizationRequest } from '../support/flows.ts';
import { parseAnswer, readAll, requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const FORM = 'Content-Type: application/x-www-form-urlencoded';

describe('Body limits', () => {
  let server: TestServer;
  let host: string;
  before(async () => {
    server = await startTestServer();
    host = `Host: ${new URL(server.issuer).host}`;
  });
  after(() => server.close());

  const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n`;

  it('The server refuses a declared body size above the limit before the body arrives', async () => {
    for (const path of ['/token', '/authorize', '/introspect', '/nothing', '/logout']) {
      const head = `POST ${path} HTTP/1.1\r\n${host}\r\n${FORM}\r\nContent-Length: 10000000\r\n\r\n`;
      const answer = await sendRaw(server.port, head);
      assert.equal(answer.status, 413, path);
      assert.match(answer.body, /"error":"invalid_request"/);
      assert.equal(answer.headers.get('connection'), 'close');
    }
  });

  it('The server refuses an endless body once it exceeds the limit, and closes the connection', async () => {
    for (const path of ['/token', '/authorize', '/introspect', '/par', '/logout']) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      const answer = readAll(socket);
      socket.write(`POST ${path} HTTP/1.1\r\n${host}\r\n${FORM}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      for (let sent = 0; sent < 80; sent += 1) socket.write(chunked(`a=${'x'.repeat(1022)}`));
      const { status, body } = parseAnswer(await answer);
      assert.ok(status === 400 || status === 413, `${path}: ${status}`);
      assert.match(body, /"error":"invalid_request"/);
    }
  });

  it('The server refuses page forms larger than 16 KiB', async () => {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(server.issuer).url);
    const { status } = await browser.submit(page, { ...ALICE, padding: 'x'.repeat(17_000) });
    assert.equal(status, 413);
    assert.equal((await browser.submit(page, { ...ALICE, password: 'y'.repeat(2000) })).status, 401);
  });

  it('The server refuses request headers larger than 16 KiB', async () => {
    const cookie = `Cookie: session=${'x'.repeat(20_000)}`;
    assert.equal((await sendRaw(server.port, requestOf('GET / HTTP/1.1', [host, cookie]))).status, 431);
  });

  it('The server accepts only URL-encoded forms in UTF-8 that contain each field once', async () => {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(server.issuer).url);
    const { action, hidden } = formOf(page);
    const csrf = `csrf=${hidden['csrf'] ?? ''}`;
    const post = async (body: string | Uint8Array<ArrayBuffer>, type = 'application/x-www-form-urlencoded') =>
      (await browser.request(action, { method: 'POST', body, headers: { 'content-type': type } })).status;
    const whole = `${csrf}&email=alice%40example.com&password=x`;
    assert.equal(await post(whole), 401);
    assert.equal(await post(`${whole}&password=y`), 400);
    assert.equal(await post(`${whole}&email=`), 400);
    assert.equal(await post(`${csrf}&email=alice%40example.com`), 400);
    assert.equal(await post(`${csrf}&email=alice&password=%ff%fe`), 400);
    assert.equal(await post(Buffer.from(`${csrf}&email=alice&password=\xff`, 'latin1')), 400);
    assert.equal(await post(JSON.stringify({ ...hidden, ...ALICE }), 'application/json'), 415);
    assert.equal(await post(whole, 'text/plain'), 415);
    assert.equal(await post('', 'application/x-www-form-urlencoded'), 403);
  });

  it('The server stays available when a client disconnects in the middle of a body', async () => {
    for (const path of ['/token', '/authorize', '/interaction/x/sign-in']) {
      const socket = connect(server.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`POST ${path} HTTP/1.1\r\n${host}\r\n${FORM}\r\nContent-Length: 1000\r\n\r\na=b`);
      socket.resetAndDestroy();
    }
    assert.equal((await fetch(`${server.issuer}/readyz`)).status, 200);
  });

  it('The server refuses requests with ambiguous framing, which two servers could read differently', async () => {
    const body = 'grant_type=client_credentials';
    const ambiguous = [
      [`Content-Length: ${body.length}`, 'Content-Length: 5'],
      [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'],
      ['Content-Length: +29'],
      ['Transfer-Encoding: chunked, identity'],
      ['Transfer-Encoding : chunked'],
    ];
    for (const headers of ambiguous) {
      const answer = await sendRaw(server.port, requestOf('POST /token HTTP/1.1', [host, FORM, ...headers], body));
      assert.equal(answer.status, 400, headers.join());
    }
  });
});
