import assert from 'node:assert/strict';
import { createHmac, X509Certificate } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { withAccount } from '../oidc/behind-the-server.ts';
import { Browser } from '../support/browser.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { newHolder, proof, type Holder } from '../support/dpop.ts';
import { domainOn } from '../support/domain.ts';
import { ADMIN, ALICE, refresh, tokenRequest, tokensFor, type TokenAnswer } from '../support/flows.ts';
import { apiOf, verified } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import {
  ACCESS_TOKEN,
  appTokens,
  ARCHIVE,
  exchange,
  EXCHANGE,
  exchanged,
  ID_TOKEN,
  machineToken,
  secretOf,
  startExchangeSetup,
  VAULT,
  type ExchangeSetup,
} from './exchange-setup.ts';

describe('Attacks on token exchange', () => {
  let setup: ExchangeSetup;
  let token: string;
  before(async () => {
    setup = await startExchangeSetup();
    token = (await appTokens(setup))['access_token'] ?? '';
  });
  after(() => setup.server.close());
  afterEach(returnToPresent);

  async function refused(answer: Promise<TokenAnswer>, error = 'invalid_request', status = 400): Promise<unknown> {
    const { status: actual, body } = await answer;
    assert.deepEqual([actual, body['error'], body['access_token']], [status, error, undefined], JSON.stringify(body));
    return body['error_description'];
  }

  /** Says only which of the two tokens it is. */
  async function unacceptable(answer: Promise<TokenAnswer>, which = 'subject_token'): Promise<void> {
    assert.equal(await refused(answer), `the ${which} is not acceptable`);
  }

  const payloadOf = async (): Promise<Record<string, unknown>> =>
    (await verified(setup.server.issuer, token, apiOf(setup.server.issuer))).claims;

  describe('Clients without permission', () => {
    const ask = (parameters: Record<string, string>, basic?: string): Promise<TokenAnswer> => {
      const all = { grant_type: EXCHANGE, subject_token: token, subject_token_type: ACCESS_TOKEN, resource: ARCHIVE };
      return tokenRequest(setup.server.issuer, { ...all, ...parameters }, basic);
    };

    it('The server refuses a client that does not authenticate', async () => {
      await refused(ask({ client_id: 'notes-api' }), 'invalid_client', 401);
      await refused(ask({}, 'notes-api:wrong'), 'invalid_client', 401);
    });

    it('The server refuses a public client and a client that is not registered for the grant', async () => {
      await refused(ask({ client_id: 'demo-notes' }), 'unauthorized_client');
      await refused(ask({}, 'demo-web:demo-web-secret'), 'unauthorized_client');
    });
  });

  it('The server refuses an unknown token type, whatever its name', async () => {
    for (const type of ['urn:ietf:params:oauth:token-type:refresh_token', 'constructor', 'valueOf', '__proto__'])
      await refused(exchange(setup, 'notes-api', token, { requested_token_type: type }));
  });

  describe('Wider tokens', () => {
    it('The server refuses a scope that the subject token does not have', async () => {
      const narrow = (await appTokens(setup, { scope: 'openid notes:read' }))['access_token'];
      await refused(exchange(setup, 'notes-api', narrow, { scope: 'notes:read notes:purge' }), 'invalid_scope');
      await refused(exchange(setup, 'notes-api', token, { scope: 'openid' }), 'invalid_scope');
    });

    it('The server refuses a scope for which the account has lost the role', async () => {
      const admin = await appTokens(setup, {}, { browser: new Browser(), person: ADMIN });
      const purge = () => exchange(setup, 'notes-api', admin['access_token'], { scope: 'notes:purge' });
      assert.equal((await purge()).status, 200);
      await withAccount(setup.server, ADMIN.email, (accounts, { id }) => accounts.setRoles(id, ['user']));
      await refused(purge(), 'invalid_scope');
      const { claims } = await exchanged(setup, exchange(setup, 'notes-api', admin['access_token']));
      assert.deepEqual([claims['scope'], claims['roles']], ['notes:read', ['user']]);
      await withAccount(setup.server, ADMIN.email, (accounts, { id }) => accounts.setRoles(id, ['user', 'admin']));
    });

    it('The server refuses an API that the client’s policy does not name, even if the client may use it', async () => {
      await refused(exchange(setup, 'notes-api', token, { resource: VAULT }), 'invalid_target');
      await refused(exchange(setup, 'notes-api', token, { audience: VAULT }), 'invalid_target');
      await refused(exchange(setup, 'notes-api', token, { resource: 'https://unknown.example' }), 'invalid_target');
      await refused(exchange(setup, 'notes-api', token, { resource: '' }), 'invalid_target');
    });
  });

  describe('Unacceptable subject tokens', () => {
    it('The server refuses a subject token for another API', async () => {
      const { token: archived } = await exchanged(setup, exchange(setup, 'notes-api', token));
      await unacceptable(exchange(setup, 'notes-api', archived));
      await unacceptable(exchange(setup, 'archive-api', token));
    });

    it('The server refuses a subject token of a client that the policy does not name', async () => {
      const other = await machineToken(setup);
      await unacceptable(exchange(setup, 'notes-api', other));
    });

    it('The server refuses an expired subject token', async () => {
      travel(901);
      await unacceptable(exchange(setup, 'notes-api', token));
    });

    it('The server refuses a subject token that is forged or from another issuer', async () => {
      const claims = await payloadOf();
      const header = decodeProtectedHeader(token) as { alg: string; kid: string };
      const { privateKey } = await generateKeyPair('ES256');
      const sign = (more: object, head: object = {}) =>
        new SignJWT({ ...claims, ...more }).setProtectedHeader({ ...header, ...head }).sign(privateKey);
      const [head = '', body = '', signature = ''] = token.split('.');
      const none = Buffer.from(JSON.stringify({ ...header, alg: 'none' })).toString('base64url');
      const hmac = Buffer.from(JSON.stringify({ ...header, alg: 'HS256' })).toString('base64url');
      const jwks = await (await fetch(`${setup.server.issuer}/jwks`)).text();
      const mac = createHmac('sha256', jwks).update(`${hmac}.${body}`).digest('base64url');
      const wider = Buffer.from(JSON.stringify({ ...claims, scope: 'notes:purge' })).toString('base64url');
      for (const forged of [
        await sign({}),
        await sign({ iss: 'https://elsewhere.example' }),
        await sign({}, { kid: 'another' }),
        `${none}.${body}.`,
        `${hmac}.${body}.${mac}`,
        `${head}.${wider}.${signature}`,
        `${head}.${body}`,
        'made-up',
        '.',
      ])
        await unacceptable(exchange(setup, 'notes-api', forged));
    });

    it('The server refuses a subject token with a wrong type or a type that the policy does not name', async () => {
      const { id_token = '', refresh_token = '' } = await appTokens(setup);
      await unacceptable(exchange(setup, 'reader', id_token));
      await unacceptable(exchange(setup, 'reader', token, { subject_token_type: ID_TOKEN }));
      await unacceptable(exchange(setup, 'notes-api', id_token, { subject_token_type: ID_TOKEN }));
      for (const type of ['refresh_token', 'jwt', 'saml2', 'made-up']) {
        const parameters = { subject_token_type: `urn:ietf:params:oauth:token-type:${type}` };
        await unacceptable(exchange(setup, 'reader', refresh_token, parameters));
      }
    });

    it('The server refuses an ID token of a client that the policy does not name', async () => {
      const { id_token } = await appTokens(setup, {}, { browser: setup.alice, person: ALICE });
      await unacceptable(exchange(setup, 'desk', id_token, { subject_token_type: ID_TOKEN }));
    });

    it('The server refuses a subject token that has passed through too many actors', async () => {
      let { token: passed } = await exchanged(setup, exchange(setup, 'notes-api', token));
      for (let hands = 1; hands < 5; hands += 1)
        ({ token: passed } = await exchanged(setup, exchange(setup, 'archive-api', passed)));
      await unacceptable(exchange(setup, 'archive-api', passed));
    });

    it('The server requires a subject token and its type', async () => {
      assert.equal(await refused(exchange(setup, 'notes-api', '')), 'subject_token is required');
      assert.equal(
        await refused(exchange(setup, 'notes-api', token, { subject_token_type: '' })),
        'subject_token_type is required',
      );
    });
  });

  describe('Unacceptable actor tokens', () => {
    it('The server refuses an actor token if the client’s policy accepts none', async () => {
      const parameters = { actor_token: await machineToken(setup), actor_token_type: ACCESS_TOKEN };
      await unacceptable(exchange(setup, 'notes-api', token, parameters), 'actor_token');
    });

    it('The server refuses an actor token without its type, and a type without a token', async () => {
      await refused(exchange(setup, 'desk', token, { actor_token: token }));
      await refused(exchange(setup, 'desk', token, { actor_token_type: ACCESS_TOKEN }));
    });

    it('The server refuses an actor token that itself has an actor', async () => {
      const { token: archived } = await exchanged(setup, exchange(setup, 'notes-api', token));
      const actor = { actor_token: archived, actor_token_type: ACCESS_TOKEN, resource: VAULT };
      await unacceptable(exchange(setup, 'double-desk', token, actor), 'actor_token');
      const other = { ...actor, actor_token: token };
      assert.equal((await exchange(setup, 'double-desk', token, other)).status, 200);
    });

    it('The server refuses an actor token that it did not issue or that is for another API', async () => {
      const { token: archived } = await exchanged(setup, exchange(setup, 'notes-api', token));
      for (const actor_token of ['made-up', archived]) {
        const parameters = { actor_token, actor_token_type: ACCESS_TOKEN };
        await unacceptable(exchange(setup, 'desk', token, parameters), 'actor_token');
      }
    });
  });

  describe('Revoked tokens', () => {
    const newcomer = () => appTokens(setup, {}, { browser: new Browser(), person: ALICE });

    it('The server refuses a subject token whose grant was revoked', async () => {
      const { access_token, refresh_token = '' } = await newcomer();
      assert.equal((await exchange(setup, 'notes-api', access_token)).status, 200);
      const body = new URLSearchParams({ client_id: 'demo-notes', token: refresh_token });
      await fetch(`${setup.server.issuer}/revoke`, { method: 'POST', body });
      await unacceptable(exchange(setup, 'notes-api', access_token));
    });

    it('The server refuses a subject token that was revoked on its own', async () => {
      const { access_token = '', refresh_token } = await newcomer();
      const body = new URLSearchParams({ client_id: 'demo-notes', token: access_token });
      await fetch(`${setup.server.issuer}/revoke`, { method: 'POST', body });
      await unacceptable(exchange(setup, 'notes-api', access_token));
      const again = await refresh(setup.server.issuer, refresh_token, { resource: apiOf(setup.server.issuer) });
      assert.equal((await exchange(setup, 'notes-api', String(again.body['access_token']))).status, 200);
    });

    it('The revocation of a client’s tokens also revokes what another client exchanged them for', async () => {
      const { token: archived } = await exchanged(setup, exchange(setup, 'notes-api', token));
      const further = exchange(setup, 'archive-api', archived, { resource: VAULT });
      const { token: locked } = await exchanged(setup, further, VAULT);
      const isActive = async (): Promise<unknown> => {
        const response = await fetch(`${setup.server.issuer}/introspect`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` },
          body: new URLSearchParams({ token: locked }),
        });
        return ((await response.json()) as { active: unknown }).active;
      };
      assert.equal(await isActive(), true);
      const stores = await openStores(setup.server.config.stores, systemClock);
      try {
        const { operations } = domainOn(stores, setup.server.config);
        await operations.rollClientSecret('notes-api', () => Promise.resolve());
        await until(async () => (await isActive()) === false);
      } finally {
        await stores.close();
      }
    });

    it('After a sign-out, the server refuses access tokens, exchanged tokens and ID tokens of the session', async () => {
      const browser = new Browser();
      const { access_token, id_token = '' } = await appTokens(setup, {}, { browser, person: ALICE });
      const { token: archived } = await exchanged(setup, exchange(setup, 'notes-api', access_token));
      const asIdToken = { subject_token_type: ID_TOKEN };
      assert.equal((await exchange(setup, 'reader', id_token, asIdToken)).status, 200);
      await browser.visit(`${setup.server.issuer}/logout?id_token_hint=${id_token}`);
      await unacceptable(exchange(setup, 'notes-api', access_token));
      await unacceptable(exchange(setup, 'archive-api', archived));
      await unacceptable(exchange(setup, 'reader', id_token, asIdToken));
    });

    it('After a sign-out, the server refuses the ID token even of a client that keeps offline access', async () => {
      const browser = new Browser();
      const asked = { scope: 'openid offline_access', prompt: 'consent' };
      const of = { browser, clientId: 'demo-web', parameters: asked };
      const { id_token = '', refresh_token = '' } = await tokensFor(setup.server.issuer, of);
      const asIdToken = { subject_token_type: ID_TOKEN, scope: '' };
      assert.equal((await exchange(setup, 'reader', id_token, asIdToken)).status, 200);
      await browser.visit(`${setup.server.issuer}/logout?id_token_hint=${id_token}`);
      await unacceptable(exchange(setup, 'reader', id_token, asIdToken));
      const again = { grant_type: 'refresh_token', refresh_token };
      assert.equal((await tokenRequest(setup.server.issuer, again, 'demo-web:demo-web-secret')).status, 200);
    });

    it('The server refuses the tokens of a disabled account', async () => {
      const tokens = await appTokens(setup, {}, { browser: new Browser(), person: ADMIN });
      await withAccount(setup.server, ADMIN.email, (accounts, { id }) => accounts.disable(id));
      await unacceptable(exchange(setup, 'notes-api', tokens['access_token']));
      await unacceptable(exchange(setup, 'reader', tokens['id_token'], { subject_token_type: ID_TOKEN }));
      await withAccount(setup.server, ADMIN.email, (accounts, { id }) => accounts.enable(id));
      assert.equal((await exchange(setup, 'notes-api', tokens['access_token'])).status, 200);
    });
  });

  describe('Key-bound tokens', () => {
    const shown = (holder: Holder): Promise<string> =>
      proof(holder, { htm: 'POST', htu: `${setup.server.issuer}/token` });

    async function exchangeWith(dpop: string | undefined, subject: string, clientId = 'bound'): Promise<TokenAnswer> {
      const response = await fetch(`${setup.server.issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${clientId}:${secretOf(clientId)}`).toString('base64')}`,
          ...(dpop !== undefined && { dpop }),
        },
        body: new URLSearchParams({
          grant_type: EXCHANGE,
          subject_token: subject,
          subject_token_type: ACCESS_TOKEN,
          resource: ARCHIVE,
        }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown>, response };
    }

    async function boundToken(holder: Holder): Promise<string> {
      const { refresh_token = '' } = await appTokens(setup);
      const response = await fetch(`${setup.server.issuer}/token`, {
        method: 'POST',
        headers: { dpop: await shown(holder) },
        body: new URLSearchParams({ client_id: 'demo-notes', grant_type: 'refresh_token', refresh_token }),
      });
      const { access_token } = (await response.json()) as Record<string, string>;
      assert.ok(access_token !== undefined);
      return access_token;
    }

    it('The server refuses a bound subject token without a proof by its key', async () => {
      const [holder, thief] = [await newHolder(), await newHolder()];
      const bound = await boundToken(holder);
      await unacceptable(exchange(setup, 'notes-api', bound));
      await unacceptable(exchangeWith(await shown(thief), bound));
      const { status, body } = await exchangeWith(await shown(holder), bound, 'notes-api');
      assert.deepEqual([status, body['token_type']], [200, 'DPoP']);
    });

    it('The server refuses a bound actor token without a proof by its key', async () => {
      const bound = await boundToken(await newHolder());
      const actor = { actor_token: bound, actor_token_type: ACCESS_TOKEN };
      await unacceptable(exchange(setup, 'desk', token, actor), 'actor_token');
    });

    it('The server refuses a DPoP-bound client that sends no proof or the same proof twice', async () => {
      await refused(exchangeWith(undefined, token), 'invalid_grant');
      const once = await shown(await newHolder());
      assert.equal((await exchangeWith(once, token)).body['token_type'], 'DPoP');
      await refused(exchangeWith(once, token), 'invalid_grant');
    });
  });

  describe('Certificate-bound tokens (RFC 8705 §3)', () => {
    /** A proxy names the certificate, and what these clients get is bound to it. */
    const withCertificates = (config: Config): Config => ({
      ...config,
      listen: {
        ...config.listen,
        trusted_proxies: ['127.0.0.1', '::1'],
        client_certificates: { header: 'client-cert' },
      },
      clients: config.clients.map((client) =>
        ['demo-service', 'desk'].includes(client.client_id)
          ? { ...client, tls_client_certificate_bound_access_tokens: true }
          : client,
      ),
    });
    const [holder, thief] = [selfSignedCertificate(), selfSignedCertificate()].map(
      ({ cert }) => `:${new X509Certificate(cert).raw.toString('base64')}:`,
    ) as [string, string];
    let proxied: ExchangeSetup;
    let machines: string;
    let persons: string;
    before(async () => {
      proxied = await startExchangeSetup(withCertificates);
      const own = { grant_type: 'client_credentials', scope: 'notes:read', resource: apiOf(proxied.server.issuer) };
      const { body } = await ask('demo-service:demo-service-secret', holder, own);
      machines = String(body['access_token']);
      assert.ok(decodeJwt<{ cnf: object }>(machines).cnf);
      persons = (await appTokens(proxied))['access_token'] ?? '';
    });
    after(() => proxied.server.close());

    async function ask(basic: string, certificate: string, body: Record<string, string>): Promise<TokenAnswer> {
      const response = await fetch(`${proxied.server.issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(basic)}`, 'client-cert': certificate },
        body: new URLSearchParams(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown>, response };
    }

    const exchangeBy = (certificate: string, tokens: Record<string, string>): Promise<TokenAnswer> =>
      ask(`desk:${secretOf('desk')}`, certificate, {
        ...{ grant_type: EXCHANGE, resource: ARCHIVE, subject_token_type: ACCESS_TOKEN },
        ...tokens,
      });

    it('The server refuses a bound subject token on a connection with another certificate', async () => {
      await unacceptable(exchangeBy(thief, { subject_token: machines }));
      assert.equal((await exchangeBy(holder, { subject_token: machines })).status, 200);
    });

    it('The server refuses a bound actor token on a connection with another certificate', async () => {
      const tokens = { subject_token: persons, actor_token: machines, actor_token_type: ACCESS_TOKEN };
      await unacceptable(exchangeBy(thief, tokens), 'actor_token');
      assert.equal((await exchangeBy(holder, tokens)).status, 200);
    });
  });
});
