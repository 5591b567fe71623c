import assert from 'node:assert/strict';
import { openToAll, REDIRECT, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('The server as an open redirector (RFC 9700 §4.11.2)', () => {
  let server: TestServer;
  let alice: Browser;
  let idToken: string;
  let home: string;
  before(async () => {
    server = await startTestServer({ change: openToAll() });
    home = `http://localhost:${Number(new URL(server.issuer).port) + 1}/`;
    alice = new Browser();
    const request = authorizationRequest(server.issuer);
    const { body } = await exchangeCode(server.issuer, request, await signIn(alice, request));
    idToken = String(body['id_token']);
  });
  after(() => server.close());

  const TRICKS: readonly [name: string, uri: () => string][] = [
    ['another host', () => 'https://evil.example/'],
    ['no scheme', () => '//evil.example/'],
    ['a longer host', () => home.replace('localhost', 'localhost.evil.example')],
    ['a user name', () => home.replace('localhost', 'localhost@evil.example')],
    ['the port of another client', () => home.replace(/\d+/, (port) => String(Number(port) + 1))],
    ['the path of a redirect URI', () => `${home}callback`],
    ['a longer path', () => `${home}more`],
    ['a query', () => `${home}?next=https://evil.example`],
    ['a fragment', () => `${home}#x`],
    ['capitals in the host', () => home.replace('localhost', 'LOCALHOST')],
    ['a tab', () => home.replace('localhost', 'local\thost')],
    ['a script scheme', () => 'javascript:alert(1)'],
  ];
  for (const [name, uri] of TRICKS) {
    it(`The sign-out endpoint refuses a redirect address with ${name}`, async () => {
      const asked = { post_logout_redirect_uri: uri(), state: 'x' };
      for (const more of [{ id_token_hint: idToken }, { client_id: 'demo-notes' }]) {
        const query = new URLSearchParams({ ...asked, ...more }).toString();
        for (const browser of [new Browser(), alice]) {
          const answer = await browser.request(`${server.issuer}/logout?${query}`);
          assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
        }
      }
    });
  }

  it('The sign-out endpoint refuses two redirect addresses at once', async () => {
    const query = new URLSearchParams({ client_id: 'demo-notes', post_logout_redirect_uri: home }).toString();
    const answer = await alice.request(
      `${server.issuer}/logout?${query}&post_logout_redirect_uri=https://evil.example/`,
    );
    assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
  });

  const PATHS = ['//evil.example', '/\\evil.example', '//evil.example/..', '/%2f%2fevil.example', '/.//evil.example/'];
  it('No path that resembles a host causes a redirect', async () => {
    const host = new URL(server.issuer).host;
    for (const start of ['', '/authorize', '/logout', '/interaction', '/assets', '/.well-known']) {
      for (const path of PATHS) {
        const answer = await sendRaw(server.port, requestOf(`GET ${start}${path} HTTP/1.1`, [`Host: ${host}`]));
        assert.ok([400, 404, 405].includes(answer.status), `${start}${path}: ${answer.status}`);
        assert.equal(answer.headers.get('location'), undefined);
      }
    }
  });

  it('No page redirects to an address from another query parameter', async () => {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(server.issuer).url);
    const names = ['next', 'returnTo', 'return_to', 'redirect', 'redirect_uri', 'url', 'continue', 'target_link_uri'];
    const query = new URLSearchParams(names.map((name) => [name, 'https://evil.example/'])).toString();
    for (const url of [page.url, server.issuer, `${page.url}/cancel`, `${server.issuer}/logout/success`]) {
      const answer = await browser.request(`${url}?${query}`);
      assert.doesNotMatch(`${answer.headers.get('location') ?? ''}${await answer.text()}`, /evil/, url);
    }
  });

  it('The authorization endpoint never redirects to an unregistered URI, even to report an error', async () => {
    const faults = [
      { scope: '' },
      { response_type: 'x' },
      { prompt: 'none login' },
      { max_age: '-1' },
      { request: 'x' },
    ];
    for (const fault of faults) {
      const request = authorizationRequest(server.issuer, 'demo-notes', {
        redirect_uri: 'https://evil.example/',
        ...fault,
      });
      const answer = await new Browser().request(request.url);
      assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], JSON.stringify(fault));
    }
  });

  describe('A client that registered itself', () => {
    const ask = (clientId: unknown, parameters: Record<string, string>) =>
      authorizationRequest(server.issuer, String(clientId), { redirect_uri: REDIRECT, ...parameters });

    it('An error redirects neither strangers nor signed-in browsers to a self-registered client', async () => {
      const { body } = await register(server);
      const faults = [{ response_type: 'id_token' }, { response_mode: 'x' }, { code_challenge_method: 'plain' }];
      for (const fault of [...faults, { max_age: '-1' }, { resource: 'https://x.example' }, { id_token_hint: 'x' }]) {
        for (const browser of [new Browser(), alice]) {
          const answer = await browser.request(ask(body['client_id'], fault).url);
          assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], JSON.stringify(fault));
        }
      }
    });

    it('A sign-out without a question redirects nobody to a self-registered client', async () => {
      const { body } = await register(server, { post_logout_redirect_uris: ['https://evil.example/'] });
      const query = new URLSearchParams({
        client_id: String(body['client_id']),
        post_logout_redirect_uri: 'https://evil.example/',
      });
      const browser = new Browser();
      const page = await browser.visit(`${server.issuer}/logout?${query.toString()}`, {}, 'https://evil.example/');
      const next = page.html.includes('<form') ? await browser.submit(page, {}, 'https://evil.example/') : page;
      assert.equal(new URL(next.url).host, new URL(server.issuer).host, next.url);
    });
  });
});
