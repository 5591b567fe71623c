import assert from 'node:assert/strict';
import { queryObjects } from 'node:v8';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { Provider } from 'oidc-provider';
import type { Config } from '../../src/config/schema.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { Browser } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest, refresh, tokenRequest, tokensFor } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { until } from '../support/until.ts';

/**
 * Faster than a configuration may ask for: a new key signs each second. Clocks do not differ here, so that their two
 * seconds are there for a busy machine.
 */
function everySecond(port: number) {
  return (config: Config): Config => ({
    ...config,
    keys: { ...config.keys, algorithms: ['ES256'], sign: 1, announce: 4, clock_skew: 2, jwks_max_age: 1 },
    listen: { ...config.listen, aliases: [`localhost:${port}`] },
  });
}

for (const backend of serverStores) {
  describe(`Signing keys that rotate every second on two servers on ${backend.name}`, function () {
    this.timeout(60_000);
    let store: RunningBackend;
    let servers: TestServer[];
    let issuer: string;

    before(async () => {
      store = await backend.start();
      const port = await freePort();
      const change = everySecond(port);
      const first = await startTestServer({ change, store: store.url });
      servers = [first];
      servers.push(await startTestServer({ change, store: store.url, sameAs: first, port }));
      ({ issuer } = first);
    });
    after(async () => {
      for (const server of servers.toReversed()) await server.close();
      await store.stop();
    });

    const kidOf = (token: string | undefined): string => decodeProtectedHeader(token ?? '').kid ?? '';

    const machineToken = async (): Promise<string> => {
      const answer = await tokenRequest(
        issuer,
        { grant_type: 'client_credentials', scope: 'notes:read' },
        'demo-service:demo-service-secret',
      );
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return String(answer.body['access_token']);
    };

    /** Waits until tokens are signed with other keys, so many times. */
    async function untilTurned(times: number): Promise<void> {
      const kids = new Set<string>();
      await until(async () => kids.add(kidOf(await machineToken())).size > times);
    }

    it('Key rotations cause no refused request, and readers of either server verify every token', async () => {
      const keySets = servers.map(({ port }) =>
        createRemoteJWKSet(new URL(`http://localhost:${port}/jwks`), {
          // What a reader may keep, and no second look at a key that it does not know.
          cacheMaxAge: 1000,
          cooldownDuration: 1000,
        }),
      );
      const kids = new Set<string>();
      await until(async () => {
        const tokens = await Promise.all([machineToken(), machineToken(), machineToken()]);
        for (const token of tokens) {
          for (const keys of keySets) await jwtVerify(token, keys, { issuer, audience: apiOf(issuer) });
          kids.add(kidOf(token));
        }
        return kids.size >= 4;
      });
    });

    it('Key rotations leave people signed in and refresh tokens valid', async () => {
      const browser = new Browser();
      const parameters = { scope: 'openid offline_access', prompt: 'consent' };
      const { refresh_token } = await tokensFor(issuer, { browser, parameters });
      await untilTurned(2);
      assert.ok(
        'code' in (await answerAtOnce(browser, authorizationRequest(issuer, 'demo-notes', { prompt: 'none' }))),
      );
      assert.equal((await refresh(issuer, refresh_token)).status, 200);
    });

    it('The server accepts an ID token by a former key as a hint at /authorize and /logout', async () => {
      const browser = new Browser();
      const { id_token = '' } = await tokensFor(issuer, { browser });
      await untilTurned(2);
      const silent = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', id_token_hint: id_token });
      assert.ok('code' in (await answerAtOnce(browser, silent)));
      const home = `http://localhost:${Number(new URL(issuer).port) + 1}/`;
      const logout = new URL('/logout', issuer);
      logout.search = String(new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: home }));
      assert.equal((await browser.visit(logout.href, {}, home)).url, home);
    });

    it('The server refuses a forged hint with the kid of a former key', async () => {
      const { id_token = '' } = await tokensFor(issuer);
      await untilTurned(1);
      const [header = '', claims = ''] = id_token.split('.');
      const forged = `${header}.${claims}.${Buffer.alloc(64, 1).toString('base64url')}`;
      const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', id_token_hint: forged });
      assert.equal((await answerAtOnce(new Browser(), request))['error'], 'invalid_request');
    });

    it('Key rotations leave no former engine in memory', async () => {
      // Collects garbage, and counts what is left.
      const before = queryObjects(Provider, { format: 'count' });
      await untilTurned(2);
      assert.ok(queryObjects(Provider, { format: 'count' }) <= before);
    });

    it('The server allows caching of /jwks for the configured time', async () => {
      const response = await fetch(new URL('/jwks', issuer));
      assert.equal(response.headers.get('cache-control'), 'public, max-age=1');
    });
  });
}
