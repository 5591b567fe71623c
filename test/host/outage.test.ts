import assert from 'node:assert/strict';
import { Browser, formOf, type Page } from '../support/browser.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn, tokenRequest } from '../support/flows.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const WEB = 'demo-web:demo-web-secret';

describe('A server without its store', () => {
  let redis: RedisOfTests;
  let server: TestServer;
  let signedIn: Browser;
  let person: Browser;
  let signInPage: Page;
  let tokens: Record<string, unknown>;
  let code: string;
  before(async () => {
    redis = await startRedis({ appendonly: true });
    server = await startTestServer({ store: redis.url });
    signedIn = new Browser();
    const request = authorizationRequest(server.issuer, 'demo-web');
    tokens = (await exchangeCode(server.issuer, request, await signIn(signedIn, request))).body;
    code = (await signIn(signedIn, request)).searchParams.get('code') ?? '';
    person = new Browser();
    signInPage = await person.visit(authorizationRequest(server.issuer).url);
    assert.equal((await fetch(`${server.issuer}/readyz`)).status, 200);
    await redis.stop();
  });
  after(async () => {
    await server.close();
    await redis.stop();
  });

  const post = (path: string, body: Record<string, string>, basic = WEB) =>
    fetch(server.issuer + path, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(basic).toString('base64')}` },
      body: new URLSearchParams(body),
    });
  const token = (name: string): string => String(tokens[name]);

  it('The server lets pages of other origins read that its store is away', async () => {
    const origin = 'https://notes.example';
    const exchange = { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'demo-notes' };
    const answers = [
      await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: { origin, accept: 'text/html' },
        body: new URLSearchParams(exchange),
      }),
    ];
    for (const answer of answers) {
      assert.equal(answer.status, 503, answer.url);
      assert.match(answer.headers.get('access-control-allow-origin') ?? '', /^(https:\/\/notes\.example|\*)$/);
      assert.equal(((await answer.json()) as { error: string }).error, 'temporarily_unavailable');
    }
  });

  const programs: readonly [what: string, ask: () => Promise<Response>][] = [
    ['an exchange of a code', () => post('/token', { grant_type: 'authorization_code', code, redirect_uri: 'x' })],
    ['a refresh', () => post('/token', { grant_type: 'refresh_token', refresh_token: token('refresh_token') })],
    ['an unknown client', () => post('/token', { grant_type: 'client_credentials' }, 'nobody:secret')],
    ['an introspection', () => post('/introspect', { token: token('access_token') })],
    ['a revocation', () => post('/revoke', { token: token('refresh_token') })],
    [
      'a pushed authorization request',
      () => {
        const url = new URL(authorizationRequest(server.issuer, 'demo-web').url);
        return post('/par', Object.fromEntries(url.searchParams));
      },
    ],
    [
      'a request to userinfo',
      () => fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token('access_token')}` } }),
    ],
  ];
  for (const [what, ask] of programs) {
    it(`The server without its store answers ${what} with 503 and Retry-After, in JSON`, async () => {
      const answer = await ask();
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get('retry-after'), '5');
      const body = (await answer.json()) as Record<string, string>;
      assert.equal(body['error'], 'temporarily_unavailable');
      assert.match(body['error_description'] ?? '', /^The server cannot reach its store\. Request \S+\.$/);
    });
  }

  const people: readonly [what: string, ask: () => Promise<Response>][] = [
    ['a new authorization request', () => new Browser().request(authorizationRequest(server.issuer).url)],
    ['an authorization request with a session', () => signedIn.request(authorizationRequest(server.issuer).url)],
    ['the sign-in page', () => person.request(signInPage.url)],
    [
      'a sent sign-in form',
      () => {
        const { action, hidden } = formOf(signInPage);
        return person.request(action, { method: 'POST', body: new URLSearchParams({ ...hidden, ...ALICE }) });
      },
    ],
    ['the home page', () => signedIn.request(server.issuer)],
    ['a sign-out', () => signedIn.request(`${server.issuer}/logout`)],
  ];
  for (const [what, ask] of people) {
    it(`The server without its store answers ${what} with 503 and Retry-After, as a page`, async () => {
      const answer = await ask();
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get('retry-after'), '5');
      const html = await answer.text();
      assert.match(html, /The server cannot reach its store/);
      assert.match(html, /temporarily_unavailable/);
      assert.doesNotMatch(html, /redis|ECONN|127\.0\.0\.1/i);
    });
  }

  it('The server without its store is alive but not ready', async () => {
    const ready = await fetch(`${server.issuer}/readyz`);
    assert.equal(ready.status, 503);
    assert.deepEqual(await ready.json(), { status: 'store unavailable' });
    assert.equal((await fetch(`${server.issuer}/healthz`)).status, 200);
  });

  it('The server without its store still publishes its keys and its metadata', async () => {
    assert.equal((await fetch(`${server.issuer}/jwks`)).status, 200);
    assert.equal((await fetch(`${server.issuer}/.well-known/openid-configuration`)).status, 200);
  });

  it('The server without its store issues no access token, because it could not revoke it', async () => {
    const machine = await tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials' },
      'demo-service:demo-service-secret',
    );
    assert.deepEqual([machine.status, machine.body['access_token']], [503, undefined]);
    assert.ok(machine.response.headers.has('retry-after'));
  });

  it('The server becomes ready again when the store is back', async () => {
    redis = await startRedis({ appendonly: true, port: Number(new URL(redis.url).port) });
    await until(async () => (await fetch(`${server.issuer}/readyz`)).status === 200);
    const page = await new Browser().visit(authorizationRequest(server.issuer).url);
    assert.equal(page.status, 200);
    assert.match(page.html, /type="password"/);
  });
});
