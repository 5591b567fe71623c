import assert from 'node:assert/strict';
import { startTestServer, type TestServer } from '../support/server.ts';

const READ = 'GET, HEAD, OPTIONS';

/** Every path with the methods that it has. */
const ALLOWED: Readonly<Record<string, string>> = {
  '/': READ,
  '/healthz': READ,
  '/readyz': READ,
  '/jwks': READ,
  '/.well-known/openid-configuration': READ,
  '/.well-known/oauth-authorization-server': READ,
  '/authorize': 'GET, HEAD, POST, OPTIONS',
  '/authorize/some-interaction': READ,
  '/logout': 'GET, HEAD, POST, OPTIONS',
  '/logout/confirm': 'POST, OPTIONS',
  '/logout/success': READ,
  '/token': 'POST, OPTIONS',
  '/introspect': 'POST, OPTIONS',
  '/revoke': 'POST, OPTIONS',
  '/par': 'POST, OPTIONS',
  '/backchannel_authentication': 'POST, OPTIONS',
  '/approvals/some-approval': 'POST, OPTIONS',
  '/device_authorization': 'POST, OPTIONS',
  '/device': 'GET, HEAD, POST, OPTIONS',
  '/device/some-interaction': READ,
  '/device/qr.svg': READ,
  '/userinfo': 'GET, HEAD, POST, OPTIONS',
  '/interaction/some-interaction': READ,
  '/interaction/some-interaction/sign-in': 'GET, HEAD, POST, OPTIONS',
  '/interaction/some-interaction/sign-up': 'GET, HEAD, POST, OPTIONS',
  '/interaction/some-interaction/account': 'POST, OPTIONS',
  '/interaction/some-interaction/consent': 'POST, OPTIONS',
  '/interaction/some-interaction/cancel': READ,
};

const UNKNOWN = [
  '/nothing',
  '/token/more',
  '/authorize/a/b',
  '/interaction',
  '/logout/other',
  '/assets/style.css',
  '/%',
];

describe('HTTP methods', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const ask = (method: string, path: string, accept = '*/*') =>
    fetch(server.issuer + path, { method, headers: { accept }, redirect: 'manual' });

  for (const [path, allowed] of Object.entries(ALLOWED)) {
    it(`The path ${path} answers 405 to all methods except ${allowed}, and names these in Allow`, async () => {
      const others = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'].filter(
        (method) => !allowed.split(', ').includes(method),
      );
      for (const method of others) {
        const answer = await ask(method, path);
        assert.equal(answer.status, 405, method);
        assert.equal(answer.headers.get('allow'), allowed, method);
        if (method !== 'HEAD')
          assert.equal(((await answer.json()) as { error: string }).error, 'invalid_request', method);
      }
      const options = await ask('OPTIONS', path);
      assert.equal(options.status, 204);
      assert.equal(options.headers.get('allow'), allowed);
    });
  }

  for (const path of UNKNOWN) {
    it(`The unknown path ${path} answers 404 without an Allow header`, async () => {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
        const answer = await ask(method, path);
        assert.equal(answer.status, 404, method);
        assert.equal(answer.headers.get('allow'), null);
        assert.match(await answer.text(), /"error":"invalid_request"/);
      }
    });
  }

  it('The server answers a browser with a page and a program with JSON', async () => {
    const page = await ask('GET', '/nothing', 'text/html,application/xhtml+xml,*/*;q=0.8');
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.match(await page.text(), /There is no such page/);
    for (const accept of ['application/json', '*/*', 'image/png', '']) {
      const answer = await ask('GET', '/nothing', accept);
      assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8', accept);
    }
  });

  it('The error response has the same request id in its header and in its body', async () => {
    for (const accept of ['text/html', 'application/json']) {
      const answer = await ask('GET', '/nothing', accept);
      const id = answer.headers.get('x-request-id') ?? 'none';
      assert.ok((await answer.text()).includes(id), accept);
    }
  });
});
