import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { CIBA_GRANT } from '../../src/config/sections/client-schema.ts';
import type { Profile } from '../../src/config/sections/profiles.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { handMade } from '../support/jws.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = publicKey.export({ format: 'jwk' });
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** A JWT that differs from a good one in this. */
interface Changes {
  header?: object;
  claims?: object;
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Clients that prove themselves by their key, one for each way to get something with it. */
function withKeyed(profile: Profile) {
  return (config: Config): Config => {
    const web = config.clients.find(({ client_id }) => client_id === 'demo-web');
    assert.ok(web !== undefined);
    const { secret: _none, ...base } = web;
    const keyed: ClientConfig = {
      ...base,
      profile,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...jwk, kty: 'EC' }] },
      default_resource: apiOf(config.issuer),
    };
    const clients: ClientConfig[] = [
      { ...keyed, client_id: 'app' },
      { ...keyed, client_id: 'asker', grant_types: [CIBA_GRANT], redirect_uris: [], post_logout_redirect_uris: [] },
      { ...keyed, client_id: 'machine', type: 'machine', redirect_uris: [], post_logout_redirect_uris: [], grant_types: ['client_credentials'], scopes: ['notes:read'] }, // prettier-ignore
    ];
    return { ...config, clients: [...config.clients, ...clients] };
  };
}

describe('JWTs that are signed by clients', () => {
  const servers = new Map<Profile, TestServer>();
  before(async () => {
    for (const profile of ['oauth2.1', 'fapi2-security'] as const)
      servers.set(profile, await startTestServer({ change: withKeyed(profile) }));
  });
  afterEach(returnToPresent);
  after(async () => {
    for (const server of servers.values()) await server.close();
  });

  const now = (): number => Math.floor(Date.now() / 1000);

  function at(profile: Profile): { issuer: string; config: Config } {
    const server = servers.get(profile);
    assert.ok(server !== undefined);
    return server;
  }

  function assertion(issuer: string, client: string, { header = {}, claims = {} }: Changes = {}): string {
    const good = { iss: client, sub: client, aud: issuer, jti: randomUUID(), exp: now() + 60 };
    return handMade(header, { ...good, ...claims }, privateKey);
  }

  const dpop = (issuer: string, path: string, { header = {}, claims = {} }: Changes = {}): string =>
    handMade(
      { typ: 'dpop+jwt', jwk, ...header },
      { jti: randomUUID(), htm: 'POST', htu: issuer + path, iat: now(), ...claims },
      privateKey,
    );

  function requestObject(issuer: string, client: string, { header = {}, claims = {} }: Changes = {}): string {
    const parameters = Object.fromEntries(new URL(authorizationRequest(issuer, 'demo-web').url).searchParams);
    const good = { ...parameters, client_id: client, iss: client, aud: issuer, nbf: now(), exp: now() + 60 };
    return handMade({ typ: 'oauth-authz-req+jwt', ...header }, { ...good, ...claims }, privateKey);
  }

  async function post(url: string, parameters: Record<string, string>, headers = {}): Promise<Answer> {
    const response = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(parameters) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  const proving = (issuer: string, client: string, given = assertion(issuer, client)) => ({
    client_assertion_type: ASSERTION,
    client_assertion: given,
  });

  /** Each place that takes something that a client has signed; whether it took it. */
  const PLACES: Record<string, (profile: Profile, changes: Changes) => Promise<Answer>> = {
    'a client assertion at /token': (profile, changes) => {
      const { issuer } = at(profile);
      const given = assertion(issuer, 'machine', changes);
      return post(
        `${issuer}/token`,
        { grant_type: 'client_credentials', ...proving(issuer, 'machine', given) },
        { dpop: dpop(issuer, '/token') },
      );
    },
    'a client assertion at /par': (profile, changes) => {
      const { issuer } = at(profile);
      const parameters = Object.fromEntries(new URL(authorizationRequest(issuer, 'demo-web').url).searchParams);
      const given = assertion(issuer, 'app', changes);
      return post(`${issuer}/par`, { ...parameters, client_id: 'app', ...proving(issuer, 'app', given) });
    },
    'a client assertion at /backchannel_authentication': (profile, changes) => {
      const { issuer } = at(profile);
      const given = assertion(issuer, 'asker', changes);
      const asked = { scope: 'openid', login_hint: `${randomUUID()}@example.com` };
      return post(`${issuer}/backchannel_authentication`, { ...asked, ...proving(issuer, 'asker', given) });
    },
    'a request object at /par': (profile, changes) => {
      const { issuer } = at(profile);
      const request = requestObject(issuer, 'app', changes);
      return post(`${issuer}/par`, { request, client_id: 'app', ...proving(issuer, 'app') });
    },
    'a request object at /backchannel_authentication': (profile, changes) => {
      const { issuer } = at(profile);
      const asked = { scope: 'openid', login_hint: `${randomUUID()}@example.com`, jti: randomUUID(), iat: now() };
      const times = { iss: 'asker', aud: issuer, nbf: now(), exp: now() + 60 };
      const { header = {}, claims = {} } = changes;
      const typ = { typ: 'oauth-authz-req+jwt' };
      const request = handMade({ ...typ, ...header }, { ...asked, ...times, ...claims }, privateKey);
      return post(`${issuer}/backchannel_authentication`, { request, ...proving(issuer, 'asker') });
    },
    'a DPoP proof at /token': (profile, changes) => {
      const { issuer } = at(profile);
      return post(
        `${issuer}/token`,
        { grant_type: 'client_credentials', ...proving(issuer, 'machine') },
        { dpop: dpop(issuer, '/token', changes) },
      );
    },
    'a DPoP proof at /par': (profile, changes) => {
      const { issuer } = at(profile);
      const parameters = Object.fromEntries(new URL(authorizationRequest(issuer, 'demo-web').url).searchParams);
      return post(
        `${issuer}/par`,
        { ...parameters, client_id: 'app', ...proving(issuer, 'app') },
        { dpop: dpop(issuer, '/par', changes) },
      );
    },
  };

  /** An unknown person is named only once everything that the client signed was accepted. */
  const isTaken = ({ status, body }: Answer): boolean => status < 300 || body['error'] === 'unknown_user_id';

  // CIBA has no error of its own for a request object.
  const REFUSED = ['invalid_client', 'invalid_request_object', 'invalid_dpop_proof', 'invalid_request'];
  function assertRefused({ status, body }: Answer, what: string): void {
    assert.ok(
      [400, 401].includes(status) && REFUSED.includes(String(body['error'])),
      `${what}: ${JSON.stringify(body)}`,
    );
  }

  for (const [place, present] of Object.entries(PLACES)) {
    it(`The server refuses ${place} with the type of another kind of JWT`, async () => {
      assert.ok(isTaken(await present('oauth2.1', {})), JSON.stringify(await present('oauth2.1', {})));
      for (const typ of ['at+jwt', 'application/at+jwt', 'logout+jwt', 'secevent+jwt', 'statuslist+jwt', 7, ''])
        assertRefused(await present('oauth2.1', { header: { typ } }), String(typ));
      if (!place.includes('DPoP'))
        assertRefused(await present('oauth2.1', { header: { typ: 'dpop+jwt' } }), 'dpop+jwt');
    });

    it(`The server refuses ${place} with a crit or b64 header`, async () => {
      const demands = [{ crit: ['b64'], b64: true }, { crit: ['b64'], b64: false }, { crit: ['exp'], exp: 1 }, { crit: [] }, { b64: true }]; // prettier-ignore
      for (const header of demands) assertRefused(await present('oauth2.1', { header }), JSON.stringify(header));
    });

    it(`The FAPI profile accepts ${place} from 10 seconds ahead, and refuses it from over a minute ahead`, async () => {
      // The engine's JOSE library accepts no DPoP proof before its nbf, which RFC 9449 does not have.
      for (const name of place.includes('DPoP') ? ['iat'] : ['iat', 'nbf']) {
        const near = await present('fapi2-security', { claims: { [name]: now() + 10, exp: now() + 60 } });
        assert.ok(isTaken(near), `${name}: ${JSON.stringify(near.body)}`);
        for (const seconds of [65, 90, 3000]) {
          const claims = { [name]: now() + seconds, exp: now() + 3100 };
          assertRefused(await present('fapi2-security', { claims }), `${name} +${seconds}`);
        }
      }
    });
  }

  it('A client assertion may name its type in each spelling', async () => {
    for (const typ of ['JWT', 'jwt', 'client-authentication+jwt', 'application/client-authentication+JWT']) {
      const answer = await PLACES['a client assertion at /token']?.('oauth2.1', { header: { typ } });
      assert.equal(answer?.status, 200, JSON.stringify(answer?.body));
    }
  });

  describe('Single use for the whole time of acceptance', () => {
    it('A client assertion works once, even in the tolerance after its longest lifetime', async () => {
      const exp = now() + 3600;
      const jti = randomUUID();
      const present = (name: string) =>
        PLACES['a client assertion at /token']?.('oauth2.1', { claims: { exp, jti: name } });
      assert.equal((await present(jti))?.status, 200);
      for (const seconds of [3603, 8]) {
        travel(seconds);
        assert.equal((await present(jti))?.status, 401);
        // Another of the same age is still accepted: the clocks of the two may differ.
        assert.equal((await present(randomUUID()))?.status, 200);
      }
    });

    it('A request object works once, even in the tolerance after its expiry', async () => {
      const exp = now() + 60;
      const present = (jti: string) => PLACES['a request object at /par']?.('oauth2.1', { claims: { exp, jti } });
      const [before, late] = [randomUUID(), randomUUID()];
      assert.equal((await present(before))?.status, 201);
      travel(62);
      assert.equal((await present(late))?.status, 201);
      for (let seconds = 2; seconds < 12; seconds += 2) {
        travel(2);
        assert.deepEqual([(await present(before))?.status, (await present(late))?.status], [400, 400]);
      }
      assert.equal((await present(randomUUID()))?.status, 201);
    });

    it('A request object in the browser yields one code', async () => {
      const { issuer } = at('oauth2.1');
      const alice = new Browser();
      await signIn(alice, authorizationRequest(issuer, 'demo-web'), ALICE);
      const request = authorizationRequest(issuer, 'demo-web');
      const object = requestObject(issuer, 'app', { claims: { redirect_uri: request.redirectUri, jti: randomUUID() } });
      const url = `${issuer}/authorize?${new URLSearchParams({ client_id: 'app', request: object }).toString()}`;
      const first = await signIn(alice, { ...request, url });
      assert.ok(first.searchParams.has('code'), first.href);
      travel(61);
      for (let seconds = 0; seconds < 12; seconds += 3) {
        const page = await alice.visit(url, {}, request.redirectUri);
        assert.equal(new URL(page.url).searchParams.get('code'), null, page.url);
        travel(3);
      }
    });

    it('A DPoP proof works once, even from as far ahead as the server accepts', async () => {
      const iat = now() + 295;
      const present = (jti: string) => PLACES['a DPoP proof at /token']?.('oauth2.1', { claims: { iat, jti } });
      const jti = randomUUID();
      assert.equal((await present(jti))?.status, 200);
      travel(303);
      assert.deepEqual([(await present(jti))?.status, (await present(randomUUID()))?.status], [400, 200]);
      travel(285);
      assert.deepEqual([(await present(jti))?.status, (await present(randomUUID()))?.status], [400, 200]);
    });

    it('A DPoP proof works once at two nodes with the largest opposite clock skews', async () => {
      let ahead = 55;
      const clock = { now: () => Date.now() - ahead * 1000 };
      await using server = await startTestServer({ change: withKeyed('oauth2.1'), clock });
      const { issuer } = server;
      const iat = now() + 295;
      const present = (jti: string) =>
        post(
          `${issuer}/token`,
          { grant_type: 'client_credentials', ...proving(issuer, 'machine') },
          { dpop: dpop(issuer, '/token', { claims: { iat, jti } }) },
        );
      const jti = randomUUID();
      assert.equal((await present(jti)).status, 200);
      travel(585);
      ahead = -55;
      assert.deepEqual([(await present(jti)).status, (await present(randomUUID())).status], [400, 200]);
    });
  });
});
