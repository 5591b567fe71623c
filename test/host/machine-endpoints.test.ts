import assert from 'node:assert/strict';
import { openToAll } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { tokensFor } from '../support/flows.ts';
import { requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** What Java's HttpURLConnection sends by itself. */
const JAVA = 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2';
const FORMS = ['/token', '/introspect', '/revoke', '/par', '/device_authorization', '/backchannel_authentication'];
const MACHINES = [...FORMS, '/userinfo', '/register', '/status', '/status/events', '/status/none', '/ssf/streams'];
const WEB = `Basic ${Buffer.from('demo-web:demo-web-secret').toString('base64')}`;

describe('Endpoints for programs', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: openToAll({ allowed_origins: [] }) });
  });
  after(() => server.close());

  const ask = (path: string, init: RequestInit = {}) =>
    fetch(server.issuer + path, { ...init, headers: { accept: JAVA, ...(init.headers as Record<string, string>) } });
  const isJson = (answer: Response): boolean => /^application\/json\b/.test(answer.headers.get('content-type') ?? '');

  async function assertError(answer: Response, what: string): Promise<Record<string, string>> {
    assert.ok(isJson(answer), `${what}: ${answer.status} ${answer.headers.get('content-type') ?? ''}`);
    const body = (await answer.json()) as Record<string, string>;
    assert.match(body['error'] ?? '', /^[a-z_]+$/, what);
    return body;
  }

  it('The endpoints for programs answer errors in JSON, whatever the Accept header says', async () => {
    const fields = { grant_type: 'refresh_token', refresh_token: 'gone', client_id: 'demo-notes', token: 'x' };
    for (const path of FORMS) {
      for (const headers of [{}, { authorization: WEB }, { authorization: 'Basic eDp5' }]) {
        for (const body of [new URLSearchParams(), new URLSearchParams(fields)]) {
          const answer = await ask(path, { method: 'POST', body, headers: headers as Record<string, string> });
          if (!answer.ok) await assertError(answer, `${path} ${body.toString()}`);
        }
      }
    }
    await assertError(await ask('/userinfo', { headers: { authorization: 'Bearer gone' } }), '/userinfo');
    await assertError(await ask('/register', { method: 'POST', body: 'x' }), '/register');
    await assertError(await ask('/register/nobody'), '/register/nobody');
    await assertError(await ask('/status/none'), '/status/none');
    await assertError(await ask('/ssf/streams'), '/ssf/streams');
  });

  it('The endpoints for programs let other origins read the JSON errors for a wrong method and for a large body', async () => {
    const origin = 'https://notes.example';
    for (const path of MACHINES) {
      const wrong = await ask(path, { method: 'PATCH', headers: { origin } });
      const large = await ask(path, {
        method: 'POST',
        headers: { origin },
        body: new URLSearchParams({ x: 'y'.repeat(70_000) }),
      });
      // Without a client that has streams, there is nothing under this path.
      assert.deepEqual([wrong.status, large.status], [path === '/ssf/streams' ? 404 : 405, 413], path);
      for (const answer of [wrong, large]) {
        await assertError(answer, path);
        assert.equal(answer.headers.get('access-control-allow-origin'), origin, path);
        assert.match(answer.headers.get('vary') ?? '', /\bOrigin\b/, path);
      }
    }
  });

  it('The endpoints for programs explain a missing or wrong content type', async () => {
    const host = `Host: ${new URL(server.issuer).host}`;
    for (const path of FORMS) {
      const raw = requestOf(`POST ${path} HTTP/1.1`, [host, `Accept: ${JAVA}`, 'Content-Length: 12'], 'grant_type=x');
      const { status, body } = await sendRaw(server.port, raw);
      assert.equal(status, 400, path);
      const { error, error_description: why } = JSON.parse(body) as Record<string, string>;
      assert.equal(error, 'invalid_request', path);
      assert.match(why ?? '', /content type.*application\/x-www-form-urlencoded/, path);
      const other = await ask(path, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
      assert.match((await assertError(other, path))['error_description'] ?? '', /application\/x-www-form-urlencoded/);
    }
  });

  it('The revocation endpoint answers with an empty object', async () => {
    const body = new URLSearchParams({ token: 'x', client_id: 'demo-notes' });
    const answer = await ask('/revoke', { method: 'POST', body });
    assert.deepEqual([answer.status, isJson(answer), await answer.text()], [200, true, '{}']);
  });

  it('The introspection endpoint still signs its response for clients that request a JWT', async () => {
    const { access_token: token = '' } = await tokensFor(server.issuer, { clientId: 'demo-web' });
    const init = { method: 'POST', body: new URLSearchParams({ token }) };
    const signed = await ask('/introspect', {
      ...init,
      headers: { authorization: WEB, accept: 'application/token-introspection+jwt' },
    });
    assert.match(signed.headers.get('content-type') ?? '', /^application\/token-introspection\+jwt/);
    const plain = await ask('/introspect', { ...init, headers: { authorization: WEB } });
    assert.ok(isJson(plain));
  });

  it('The endpoints for programs allow credentials only from the origins of the client', async () => {
    const tokens = await tokensFor(server.issuer);
    const own = `http://localhost:${Number(new URL(server.issuer).port) + 1}`;
    const headers = { authorization: `Bearer ${tokens['access_token'] ?? ''}` };
    const credentials = async (origin: string) =>
      (await ask('/userinfo', { headers: { ...headers, origin } })).headers.get('access-control-allow-credentials');
    assert.deepEqual([await credentials(own), await credentials('https://evil.example')], ['true', null]);
    const preflight = await ask('/userinfo', {
      method: 'OPTIONS',
      headers: {
        origin: own,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    });
    assert.equal(preflight.headers.get('access-control-allow-credentials'), 'true');
  });
});

describe('A page that does not exist', () => {
  it('The page for an unknown path says that there is no such page, shows no error code, and links to the start page', async () => {
    await using server = await startTestServer();
    const { status, html } = await new Browser().visit(`${server.issuer}/nothing/here`);
    assert.equal(status, 404);
    assert.doesNotMatch(html, /invalid_request|Error code/);
    assert.match(html, /href="\/"/);
  });
});
