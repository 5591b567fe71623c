import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../src/config/schema.ts';
import { newPlace, type Place } from '../durability/command.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startGuide, type GuideApi } from './guide.ts';

const API = 'https://api.example.com';
const OTHER = 'https://other.example.com';
const SERVICE = 'demo-service:demo-service-secret';
const TTL = 2;
const INVALID = /^401 Bearer realm="https:\/\/api\.example\.com", error="invalid_token"/;

const twoApis = (config: Config): Config => ({
  ...config,
  status_lists: { ttl: TTL },
  resources: [API, OTHER].map((identifier) => ({
    identifier,
    name: identifier,
    signing_alg: 'ES256' as const,
    scopes: { 'notes:read': { description: 'Read' }, other: { description: 'Other' } },
  })),
  clients: config.clients.map((client) => ({
    ...client,
    scopes: ['notes:read', 'other'],
    resources: [API, OTHER],
    default_resource: API,
  })),
});

for (const language of ['python', 'go', 'java']) {
  describe(`The API of the guide for ${language}`, function () {
    // The first time, its packages are brought from their registry.
    this.timeout(300_000);
    let place: Place;
    let server: TestServer;
    let api: GuideApi;
    const start = (): Promise<TestServer> => startTestServer({ sameAs: place, change: twoApis });
    before(async () => {
      place = await newPlace();
      server = await start();
      api = await startGuide(language, { ISSUER: server.issuer, AUDIENCE: API });
    });
    after(async () => {
      await api.close();
      await server.close();
      await place.remove();
    });

    async function newToken(parameters: Record<string, string> = {}): Promise<string> {
      const request = { grant_type: 'client_credentials', scope: 'notes:read', ...parameters };
      const { status, body } = await tokenRequest(server.issuer, request, SERVICE);
      assert.equal(status, 200, JSON.stringify(body));
      return String(body['access_token']);
    }

    /** Asks until it answers otherwise than before. */
    async function nextAnswer(token: string): Promise<string> {
      const before = await api.answerTo(token);
      for (let look = 0; look < 3000; look += 1) {
        const answer = await api.answerTo(token);
        if (answer !== before) return answer;
        await sleep(20);
      }
      return assert.fail(`the answer is still ${before}`);
    }

    it('The API accepts a token that is issued for it', async () => {
      assert.equal((await api.answerTo(await newToken())).slice(0, 3), '200');
    });

    it('The API refuses text that is no token, and a token for another API', async () => {
      assert.match(await api.answerTo('e30.e30.e30'), INVALID);
      assert.match(await api.answerTo(await newToken({ resource: OTHER })), INVALID);
    });

    it('The API refuses an expired token', async () => {
      travel(-server.config.tokens.access_token - 60);
      const expired = await newToken().finally(returnToPresent);
      assert.match(await api.answerTo(expired), INVALID);
    });

    it('The API refuses a key-bound token that is sent as a bearer token', async () => {
      const holder = await newHolder();
      const response = await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(SERVICE)}`,
          dpop: await proof(holder, { htm: 'POST', htu: `${server.issuer}/token` }),
        },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'notes:read' }),
      });
      const body = (await response.json()) as Record<string, string>;
      assert.equal(body['token_type'], 'DPoP', JSON.stringify(body));
      assert.match(await api.answerTo(body['access_token'] ?? ''), INVALID);
    });

    it('The API names the scope and the role that a token lacks', async () => {
      const insufficient = /^403 Bearer realm=".+", error="insufficient_scope"/;
      assert.match(await api.answerTo(await newToken({ scope: 'other' })), insufficient);
      assert.match(await api.answerTo(await newToken(), '/admin'), insufficient);
    });

    it('The API refuses a revoked token, and no other', async () => {
      const [token, other] = [await newToken(), await newToken()];
      assert.match(await api.answerTo(token), /^200/);
      const revoked = await fetch(`${server.issuer}/revoke`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(SERVICE)}` },
        body: new URLSearchParams({ token }),
      });
      assert.equal(revoked.status, 200);
      assert.match(await nextAnswer(token), INVALID);
      assert.match(await api.answerTo(other), /^200/);
    });

    it('The API refuses every token once its status list is too old, until the server is back', async () => {
      const token = await newToken();
      assert.match(await api.answerTo(token), /^200/);
      await server.close();
      assert.match(await nextAnswer(token), /^503/);
      server = await start();
      assert.match(await nextAnswer(token), /^200/);
    });
  });
}
