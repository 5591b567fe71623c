import assert from 'node:assert/strict';
import { openToAll, REDIRECT, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('RFC 9700 §4.11.2: the server as an open redirector', () => {
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
    ['another client’s address', () => home.replace(/\d+/, (port) => String(Number(port) + 1))],
    ['a redirect URI of the client', () => `${home}callback`],
    ['a longer path', () => `${home}more`],
    ['a query', () => `${home}?next=https://evil.example`],
    ['a fragment', () => `${home}#x`],
    ['capitals in the host', () => home.replace('localhost', 'LOCALHOST')],
    ['a tab', () => home.replace('localhost', 'local\thost')],
    ['a script', () => 'javascript:alert(1)'],
  ];
  for (const [name, uri] of TRICKS) {
    it(`leads nobody after sign-out to ${name}, with whatever it is asked`, async () => {
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

  it('leads nowhere for two addresses at once', async () => {
    const query = new URLSearchParams({ client_id: 'demo-notes', post_logout_redirect_uri: home }).toString();
    const answer = await alice.request(
      `${server.issuer}/logout?${query}&post_logout_redirect_uri=https://evil.example/`,
    );
    assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
  });

  const PATHS = ['//evil.example', '/\\evil.example', '//evil.example/..', '/%2f%2fevil.example', '/.//evil.example/'];
  it('makes no redirect of a path that reads like a host', async () => {
    const host = new URL(server.issuer).host;
    for (const start of ['', '/authorize', '/logout', '/interaction', '/assets', '/.well-known']) {
      for (const path of PATHS) {
        const answer = await sendRaw(server.port, requestOf(`GET ${start}${path} HTTP/1.1`, [`Host: ${host}`]));
        assert.ok([400, 404, 405].includes(answer.status), `${start}${path}: ${answer.status}`);
        assert.equal(answer.headers.get('location'), undefined);
      }
    }
  });

  it('takes no address to go on to from anywhere else', async () => {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(server.issuer).url);
    const names = ['next', 'returnTo', 'return_to', 'redirect', 'redirect_uri', 'url', 'continue', 'target_link_uri'];
    const query = new URLSearchParams(names.map((name) => [name, 'https://evil.example/'])).toString();
    for (const url of [page.url, server.issuer, `${page.url}/cancel`, `${server.issuer}/logout/success`]) {
      const answer = await browser.request(`${url}?${query}`);
      assert.doesNotMatch(`${answer.headers.get('location') ?? ''}${await answer.text()}`, /evil/, url);
    }
  });

  it('never takes a request to an address that its client is not registered with, fault or not', async () => {
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

  describe('for an app that anybody registered', () => {
    const ask = (clientId: unknown, parameters: Record<string, string>) =>
      authorizationRequest(server.issuer, String(clientId), { redirect_uri: REDIRECT, ...parameters });

    it('does not lead anybody to it by a fault, whoever they are', async () => {
      const { body } = await register(server);
      const faults = [{ response_type: 'id_token' }, { response_mode: 'x' }, { code_challenge_method: 'plain' }];
      for (const fault of [...faults, { max_age: '-1' }, { resource: 'https://x.example' }, { id_token_hint: 'x' }]) {
        for (const browser of [new Browser(), alice]) {
          const answer = await browser.request(ask(body['client_id'], fault).url);
          assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], JSON.stringify(fault));
        }
      }
    });

    it('does not lead anybody on to it from a sign-out that nobody was asked about', async () => {
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
