import assert from 'node:assert/strict';
import { join } from 'node:path';
import { decodeProtectedHeader } from 'jose';
import type { Config, SigningAlgorithm } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { freshToken, privateKeysIn, withoutHsm, type Pkcs11 } from '../support/softhsm.ts';
import { verified } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const satisfies SigningAlgorithm[];
const apiFor = (alg: string): string => `https://${alg.toLowerCase()}.example.com`;

/** The demo with all keys in an HSM, and with an API and an app for each algorithm. */
function inHsm(pkcs11: Pkcs11) {
  return (config: Config): Config => {
    const [notes] = config.clients;
    assert.ok(notes !== undefined);
    return {
      ...config,
      keys: { ...config.keys, algorithms: [...ALGORITHMS], signer: 'pkcs11', pkcs11 },
      resources: [
        ...config.resources,
        ...ALGORITHMS.map((alg) => ({
          identifier: apiFor(alg),
          name: alg,
          scopes: { read: { description: 'Read' } },
          signing_alg: alg,
        })),
      ],
      clients: [
        ...config.clients.map((client) => ({
          ...client,
          scopes: [...client.scopes, 'read'],
          resources: [...client.resources, ...ALGORITHMS.map(apiFor)],
        })),
        ...ALGORITHMS.map((alg) => ({ ...notes, client_id: `app-${alg}`, id_token_signing_alg: alg })),
      ],
    };
  };
}

const machineToken = (issuer: string, alg: SigningAlgorithm) =>
  tokenRequest(
    issuer,
    { grant_type: 'client_credentials', scope: 'read', resource: apiFor(alg) },
    'demo-service:demo-service-secret',
  );

describe('A server with keys in an HSM', () => {
  let token: Pkcs11;
  let server: TestServer;
  let issuer: string;

  before(async () => {
    token = freshToken();
    server = await startTestServer({ change: inHsm(token) });
    ({ issuer } = server);
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const keySet = async (): Promise<Record<string, string>[]> =>
    ((await (await fetch(`${issuer}/jwks`)).json()) as { keys: Record<string, string>[] }).keys;

  it('The server publishes a public key for each algorithm of the HSM', async () => {
    const shown = (await keySet()).map((key) => [key['alg'], key['use'], Object.keys(key).toSorted().join(' ')]);
    assert.deepEqual(shown, [
      ['RS256', 'sig', 'alg e kid kty n use'],
      ['PS256', 'sig', 'alg e kid kty n use'],
      ['ES256', 'sig', 'alg crv kid kty use x y'],
      ['EdDSA', 'sig', 'alg crv kid kty use x'],
    ]);
    assert.equal((await privateKeysIn(token)).length, ALGORITHMS.length);
  });

  for (const alg of ALGORITHMS) {
    it(`The HSM signs access tokens with ${alg}`, async () => {
      const { status, body } = await machineToken(issuer, alg);
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal((await verified(issuer, String(body['access_token']), apiFor(alg))).header.alg, alg);
    });

    it(`The HSM signs ID tokens with ${alg}, and the server accepts them as hints`, async () => {
      const browser = new Browser();
      const { id_token = '' } = await tokensFor(issuer, { clientId: `app-${alg}`, browser });
      assert.equal((await verified(issuer, id_token, `app-${alg}`)).header.alg, alg);
      const page = await browser.visit(`${issuer}/logout?id_token_hint=${id_token}`);
      assert.equal(page.status, 200);
    });
  }

  it('The HSM signs a hundred simultaneous tokens', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => machineToken(issuer, ALGORITHMS[index % 4] ?? 'RS256')),
    );
    const kids = new Set<string | undefined>();
    for (const { status, body } of answers) {
      assert.equal(status, 200, JSON.stringify(body));
      const jwt = String(body['access_token']);
      const alg = decodeProtectedHeader(jwt).alg ?? '';
      kids.add((await verified(issuer, jwt, apiFor(alg))).header.kid);
    }
    assert.equal(kids.size, ALGORITHMS.length);
  });

  describe('While the HSM is away', () => {
    it('The server answers 503 while the HSM is away, keeps codes and refresh tokens valid, and recovers', async () => {
      const { refresh_token } = await tokensFor(issuer, {
        parameters: { scope: 'openid offline_access', prompt: 'consent' },
      });
      const request = authorizationRequest(issuer);
      const callback = await signIn(new Browser(), request);
      // Nobody has asked for a moment: the server finds out by these very requests.
      travel(2);
      await withoutHsm(async () => {
        for (const answer of [await exchangeCode(issuer, request, callback), await refresh(issuer, refresh_token)]) {
          assert.equal(answer.status, 503, JSON.stringify(answer.body));
          assert.equal(answer.body['error'], 'temporarily_unavailable');
          assert.match(
            String(answer.body['error_description']),
            /^The server cannot sign tokens right now\. Request \S+\.$/,
          );
          assert.ok(answer.response.headers.has('Retry-After'));
        }
        const ready = await fetch(`${issuer}/readyz`);
        assert.deepEqual([ready.status, await ready.json()], [503, { status: 'signer unavailable' }]);
        assert.equal((await machineToken(issuer, 'ES256')).status, 503);
        assert.equal((await fetch(`${issuer}/jwks`)).status, 200);
      });
      travel(2);
      assert.equal((await exchangeCode(issuer, request, callback)).status, 200);
      assert.equal((await refresh(issuer, refresh_token)).status, 200);
      assert.equal((await fetch(`${issuer}/readyz`)).status, 200);
    });
  });
});

describe('An HSM that refuses the PIN', () => {
  it('The server does not start if the HSM refuses its PIN, and the error names the setting', async () => {
    const refused = inHsm({ ...freshToken(), pin: new Secret('0000') });
    await assert.rejects(startTestServer({ change: refused }), {
      name: 'SignerUnavailable',
      message: /^keys\.pkcs11\.pin: token "[^"]+" refuses the PIN\./,
    });
  });
});

describe('Two server processes that share a token', function () {
  this.timeout(60_000);
  let token: Pkcs11;
  let server: TestServer;
  let node: ServerProcess;

  before(async () => {
    token = freshToken();
    // Faster than a configuration may ask for: a new key signs each second.
    const keys: Partial<Config['keys']> = {
      algorithms: ['ES256'],
      signer: 'pkcs11',
      pkcs11: token,
      sign: 1,
      announce: 3,
      clock_skew: 1,
      jwks_max_age: 1,
    };
    server = await startTestServer({ change: (config) => ({ ...config, keys: { ...config.keys, ...keys } }) });
    const { directory, issuer } = server;
    node = await startServerProcess({ directory, issuer, store: `sqlite:${join(directory, 'store.db')}`, keys });
  });
  after(async () => {
    await node.close();
    await server.close();
  });

  it('Both server processes sign with the HSM keys that either one made, and destroy the retired ones', async () => {
    const [first = ''] = await privateKeysIn(token);
    const kids = new Map<string, Set<string>>();
    const isShared = () => kids.size > 1 && [...kids.values()].some((urls) => urls.size === 2);
    // A busy machine may destroy the first key before a second one has signed anything here.
    await until(async () => {
      for (const url of [server.issuer, node.url]) {
        const request = { grant_type: 'client_credentials', scope: 'notes:read' };
        const { status, body } = await tokenRequest(url, request, 'demo-service:demo-service-secret');
        assert.equal(status, 200, JSON.stringify(body));
        const { kid = '' } = decodeProtectedHeader(String(body['access_token']));
        kids.set(kid, (kids.get(kid) ?? new Set()).add(url));
      }
      return isShared() && !(await privateKeysIn(token)).includes(first);
    });
  });
});
