import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, authorizationRequest } from '../support/flows.ts';
import { requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const ALIAS = 'inside.example:8080';

function behind(trusted: string[]): (config: Config) => Config {
  return (config) => ({
    ...config,
    listen: { ...config.listen, trusted_proxies: trusted, aliases: [ALIAS] },
  });
}

describe('Request admission', () => {
  let open: TestServer;
  let proxied: TestServer;
  before(async () => {
    open = await startTestServer({ change: behind([]) });
    proxied = await startTestServer({ change: behind(['127.0.0.1', '10.0.0.0/8', 'fd00::/8']) });
  });
  after(() => Promise.all([open.close(), proxied.close()]));

  const get = (server: TestServer, target: string, ...headers: string[]) =>
    sendRaw(server.port, requestOf(`GET ${target} HTTP/1.1`, headers));
  const hostOf = (server: TestServer): string => new URL(server.issuer).host;

  describe('The Host header', () => {
    const foreign = [
      'evil.example',
      'localhost',
      'localhost:1',
      'localhost.',
      'LOCALHOST@evil.example',
      '127.0.0.1',
      '',
    ];
    for (const host of foreign) {
      it(`The server refuses the host "${host}" everywhere, public documents included`, async () => {
        for (const target of ['/', '/jwks', '/authorize?client_id=demo-notes', '/.well-known/openid-configuration']) {
          const answer = await get(open, target, `Host: ${host}`);
          assert.equal(answer.status, 400, target);
          assert.equal((JSON.parse(answer.body) as { error: string }).error, 'invalid_request');
          assert.doesNotMatch(answer.body, /evil/);
        }
      });
    }

    it('The server compares the host without regard to case', async () => {
      const answer = await get(open, '/', `Host: ${hostOf(open).toUpperCase()}`);
      assert.equal(answer.status, 200);
    });

    it('The Host header may include the default port if the issuer uses it', async () => {
      const change = (config: Config): Config => ({ ...config, issuer: 'https://login.example' });
      await using server = await startTestServer({ change });
      for (const [host, status] of [
        ['login.example', 200],
        ['login.example:443', 200],
        ['login.example:80', 400],
      ] as const) {
        assert.equal((await get(server, '/jwks', `Host: ${host}`)).status, status, host);
      }
    });

    it('The Host header may be an alias with or without the default port, in any configured spelling', async () => {
      const change = (config: Config): Config => ({
        ...config,
        issuer: 'https://login.example',
        listen: { ...config.listen, aliases: ['One.example:443', 'two.example', 'three.example:80', '[fd00::1]:443'] },
      });
      await using server = await startTestServer({ change });
      for (const [host, status] of [
        ...(['one.example', 'one.example:443', 'two.example', 'two.example:443', '[fd00::1]'] as const).map(
          (known) => [known, 200] as const,
        ),
        ...(['two.example:80', 'three.example', 'three.example:443', 'one.example:443:443'] as const).map(
          (strange) => [strange, 400] as const,
        ),
      ]) {
        assert.equal((await get(server, '/jwks', `Host: ${host}`)).status, status, host);
      }
    });

    it('A request to an alias receives only URLs of the issuer', async () => {
      const query = new URL(authorizationRequest(open.issuer, 'demo-notes', { redirect_uri: 'x' }).url).search;
      const answers = await Promise.all([
        get(open, '/.well-known/openid-configuration', `Host: ${ALIAS}`),
        get(open, `/authorize${query}`, `Host: ${ALIAS}`),
        get(open, '/logout', `Host: ${ALIAS}`),
      ]);
      for (const { body } of answers) assert.doesNotMatch(body, /inside\.example/);
      const [discovery, , logout] = answers;
      assert.equal((JSON.parse(discovery.body) as { issuer: string }).issuer, open.issuer);
      assert.ok(logout.body.includes(`action="${open.issuer}/logout/confirm"`), logout.body);
    });

    it('The server refuses a request without a Host header', async () => {
      assert.equal((await sendRaw(open.port, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n')).status, 400);
      const old = await sendRaw(open.port, 'GET / HTTP/1.0\r\n\r\n');
      assert.equal(old.status, 400);
      assert.match(old.body, /"error":"invalid_request"/);
      assert.equal((await sendRaw(open.port, `GET / HTTP/1.0\r\nHost: ${hostOf(open)}\r\n\r\n`)).status, 200);
    });

    it('The host of an absolute request target replaces the Host header (RFC 9112 §3.2.2)', async () => {
      const evil = await get(open, 'http://evil.example/jwks', `Host: ${hostOf(open)}`);
      assert.equal(evil.status, 400);
      const ours = await get(open, `${open.issuer}/jwks`, `Host: ${hostOf(open)}`);
      assert.equal(ours.status, 200);
      const page = await get(open, `http://evil.example/authorize`, `Host: ${hostOf(open)}`);
      assert.equal(page.status, 400);
      assert.match(page.body, /host name/);
    });

    it('The health checks accept any host, because they come by address', async () => {
      assert.equal((await get(open, '/healthz', 'Host: 10.1.2.3')).status, 200);
      assert.equal((await get(open, '/readyz', 'Host: 10.1.2.3')).status, 200);
    });
  });

  describe('Forwarding headers', () => {
    it('The server ignores the forwarded host and protocol of an untrusted peer', async () => {
      const answer = await get(
        open,
        '/logout',
        `Host: ${hostOf(open)}`,
        'X-Forwarded-Host: evil.example',
        'X-Forwarded-Proto: https',
        'Forwarded: host=evil.example;proto=https',
      );
      assert.equal(answer.status, 200);
      assert.ok(answer.body.includes(`action="${open.issuer}/logout/confirm"`), answer.body);
      assert.doesNotMatch([...answer.headers].join('\n'), /evil|[Ss]ecure/);
    });

    it('The server uses the forwarded host of a trusted proxy', async () => {
      const named = (forwarded: string, host: string) =>
        get(proxied, '/', `Host: ${host}`, `X-Forwarded-Host: ${forwarded}`);
      assert.equal((await named(hostOf(proxied), 'upstream:3000')).status, 200);
      assert.equal((await named('evil.example', hostOf(proxied))).status, 400);
      assert.equal((await named(`${hostOf(proxied)}, evil.example`, hostOf(proxied))).status, 400);
    });

    it('The forwarded host takes precedence over the request target, which appears in no URL', async () => {
      const forwarded = `X-Forwarded-Host: ${hostOf(proxied)}`;
      const answer = await get(proxied, 'http://evil.example/logout', 'Host: upstream:3000', forwarded);
      assert.ok(answer.body.includes(`action="${proxied.issuer}/logout/confirm"`), answer.body);
    });
  });

  describe('The client address', () => {
    /** Guesses until the server asks to wait; each caller has a count of its own. */
    async function guesses(server: TestServer, forwardedFor: (guess: number) => string): Promise<number> {
      const email = `nobody-${forwardedFor(0).replace(/\W/g, '')}@example.com`;
      const browser = new Browser();
      const page = await browser.visit(authorizationRequest(server.issuer).url);
      for (let guess = 0; guess < 8; guess += 1) {
        browser.headers['x-forwarded-for'] = forwardedFor(guess);
        const { status } = await browser.submit(page, { email, password: `${ALICE.password}-wrong` });
        if (status === 429) return guess;
        assert.equal(status, 401);
      }
      return Infinity;
    }

    it('The client address is the peer address if an untrusted peer sends X-Forwarded-For', async () => {
      assert.equal(await guesses(open, (guess) => `198.51.100.${guess}`), 5);
    });

    it('The client address is the one that the trusted proxies saw, so each client has its own limit', async () => {
      assert.equal(await guesses(proxied, (guess) => `198.51.${guess}.7`), Infinity);
      assert.equal(await guesses(proxied, () => '203.0.113.9'), 5);
    });

    it('The client address is never an entry that the client added on the left', async () => {
      assert.equal(await guesses(proxied, (guess) => `198.51.${guess}.1, 203.0.113.10, 10.0.0.1`), 5);
      assert.equal(await guesses(proxied, (guess) => `198.51.${guess}.2, 203.0.113.11, ::ffff:10.0.0.1`), 5);
    });

    it('The client address may include a port, and an invalid entry ends the search at the hop before it', async () => {
      assert.equal(await guesses(proxied, (guess) => `198.51.${guess}.3, 203.0.113.12:4711`), 5);
      assert.equal(await guesses(proxied, (guess) => `198.51.${guess}.4, [2001:db8::1]:4711`), 5);
      assert.equal(await guesses(proxied, (guess) => `198.51.${guess}.5, unknown`), 5);
    });
  });
});
