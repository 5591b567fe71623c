import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ALICE, refresh, tokensFor, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const DAY = 86_400;

const withShortFamilies = (config: Config): Config => ({
  ...config,
  tokens: { ...config.tokens, refresh_token: 7 * DAY, refresh_family: 20 * DAY },
});

describe('Refresh', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withShortFamilies });
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const renew = (token: unknown, parameters?: Record<string, string>): Promise<TokenAnswer> =>
    refresh(server.issuer, String(token), parameters);

  async function renewed(token: unknown, parameters?: Record<string, string>): Promise<Record<string, string>> {
    const { status, body } = await renew(token, parameters);
    assert.equal(status, 200, JSON.stringify(body));
    return body as Record<string, string>;
  }

  async function refused(answer: Promise<TokenAnswer>, error = 'invalid_grant'): Promise<void> {
    const { status, body } = await answer;
    assert.deepEqual([status, body['error']], [400, error]);
    assert.deepEqual([body['access_token'], body['refresh_token']], [undefined, undefined]);
  }

  it('A refresh returns new tokens and rotates the refresh token', async () => {
    const first = await tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });
    const second = await renewed(first['refresh_token']);
    const third = await renewed(second['refresh_token']);
    assert.equal(new Set([first, second, third].map((tokens) => tokens['refresh_token'])).size, 3);
    assert.equal(
      (await verified(server.issuer, third['access_token'], apiOf(server.issuer))).claims['scope'],
      'notes:read',
    );
  });

  it('A revoked refresh token family does not affect the same person in another browser', async () => {
    const [here, there] = [await tokensFor(server.issuer), await tokensFor(server.issuer)];
    await renewed(here['refresh_token']);
    travel(31);
    await refused(renew(here['refresh_token']));
    await renewed(there['refresh_token']);
  });

  it('The token endpoint refuses a refresh by another client, and the token stays valid', async () => {
    const { refresh_token } = await tokensFor(server.issuer);
    await refused(renew(refresh_token, { client_id: 'demo-photos' }));
    await renewed(refresh_token);
  });

  it('A refresh can narrow the scopes, and cannot exceed the granted ones', async () => {
    const { refresh_token } = await tokensFor(server.issuer, { parameters: { scope: 'openid profile email' } });
    await refused(renew(refresh_token, { scope: 'openid notes:read' }), 'invalid_scope');
    const narrowed = await renewed(refresh_token, { scope: 'openid profile' });
    assert.equal(narrowed['scope'], 'openid profile');
    const again = await renewed(narrowed['refresh_token']);
    assert.equal(again['scope'], 'openid profile email');
  });

  it('A refresh ignores standard scopes that were not granted, because libraries repeat their first request', async () => {
    const { refresh_token } = await tokensFor(server.issuer, { parameters: { scope: 'openid profile' } });
    const { scope, id_token } = await renewed(refresh_token, { scope: 'openid profile email offline_access' });
    assert.equal(scope, 'openid profile');
    assert.equal(typeof id_token, 'string');
  });

  it('A first-party app receives offline access without prompt=consent', async () => {
    const { scope } = await tokensFor(server.issuer, { parameters: { scope: 'openid profile offline_access' } });
    assert.equal(scope, 'openid profile offline_access');
  });

  it('A refresh token without offline access ends with its session', async () => {
    const { refresh_token } = await tokensFor(server.issuer);
    travel(DAY / 2 - 60);
    const { refresh_token: next } = await renewed(refresh_token);
    travel(120);
    await refused(renew(next));
  });

  const offline = { parameters: { scope: 'openid offline_access', prompt: 'consent' } };

  it('A refresh token expires after its lifetime, and each use restarts it', async () => {
    let { refresh_token: token } = await tokensFor(server.issuer, offline);
    travel(5 * DAY);
    token = (await renewed(token))['refresh_token'];
    travel(5 * DAY);
    token = (await renewed(token))['refresh_token'];
    travel(7 * DAY + 60);
    await refused(renew(token));
  });

  it('A refresh token family expires after its lifetime, however often it is used', async () => {
    let { refresh_token: token } = await tokensFor(server.issuer, offline);
    for (let uses = 0; uses < 3; uses += 1) {
      travel(6 * DAY);
      token = (await renewed(token))['refresh_token'];
    }
    travel(2 * DAY - 60);
    token = (await renewed(token))['refresh_token'];
    travel(120);
    await refused(renew(token));
  });

  it('A refresh token family that begins late in a long session has its full lifetime', async () => {
    const browser = new Browser();
    await tokensFor(server.issuer, { browser, person: { ...ALICE, remember: 'yes' } });
    travel(18 * DAY);
    let { refresh_token: token } = await tokensFor(server.issuer, { ...offline, browser });
    for (let uses = 0; uses < 3; uses += 1) {
      travel(6 * DAY);
      token = (await renewed(token))['refresh_token'];
    }
  });

  it('Two apps of one session have independent refresh token families', async () => {
    const browser = new Browser();
    const notes = await tokensFor(server.issuer, { browser });
    const photos = await tokensFor(server.issuer, { browser, clientId: 'demo-photos' });
    await renewed(notes['refresh_token']);
    travel(31);
    await refused(renew(notes['refresh_token']));
    await renewed(photos['refresh_token'], { client_id: 'demo-photos' });
  });
});
