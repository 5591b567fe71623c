import assert from 'node:assert/strict';
import { calculateJwkThumbprint } from 'jose';
import { clientSchema } from '../../../src/config/sections/client-schema.ts';
import { issuerSchema } from '../../../src/config/sections/issuer-schema.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import { accountClaims } from '../../../src/accounts/claims.ts';
import { openIssuers, type Issuers } from '../../../src/issuers/issuers.ts';
import type { Store } from '../../../src/storage/store.ts';
import { recordsOf, withAccount } from '../../oidc/behind-the-server.ts';
import { accountsOn } from '../../support/domain.ts';
import { newHolder, proof } from '../../support/dpop.ts';
import { DyingNode } from '../../support/dying-node.ts';
import { ADMIN, ALICE, tokenRequest, tokensFor, type Person } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { apiOf, verified } from '../../support/tokens.ts';
import { foreignIssuer, JWT_BEARER, type ForeignIssuer } from './foreign-issuer.ts';

describe('Subjects of assertions', () => {
  const dying = new DyingNode();
  let server: TestServer;
  let partner: ForeignIssuer;
  let records: Store;
  let issuers: Issuers;

  before(async () => {
    server = await startTestServer({ change: withPortal, openStores: dying.openStores });
    partner = foreignIssuer('https://partner.example', server.issuer);
    records = await recordsOf(server);
    issuers = openIssuers({ records, configured: [] });
  });
  after(async () => {
    await records.close();
    await server.close();
  });

  function withPortal(config: Config): Config {
    const client = (id: string, more: object = {}) =>
      clientSchema.parse({
        client_id: id,
        client_name: 'Portal',
        type: 'machine',
        secret: new Secret('portal-secret'),
        grant_types: [JWT_BEARER],
        scopes: ['notes:read', 'notes:purge'],
        resources: [apiOf(config.issuer)],
        ...more,
      });
    const [api] = config.resources;
    assert.ok(api !== undefined);
    const scopes = { ...api.scopes, 'notes:purge': { description: 'Purge', roles: ['admin'] } };
    return {
      ...config,
      sign_up: { ...config.sign_up, enabled: false },
      resources: [{ ...api, scopes }],
      clients: [...config.clients, client('portal'), client('holder', { dpop_bound_access_tokens: true })],
    };
  }

  /** Trusts the partner with this rule from now on. */
  async function trust(subject: object, more: object = {}): Promise<void> {
    await issuers.save(
      issuerSchema.parse({
        issuer: partner.issuer,
        jwks: { keys: [partner.jwk] },
        subject,
        clients: ['portal', 'holder'],
        resources: [apiOf(server.issuer)],
        scopes: ['notes:read', 'notes:purge'],
        ...more,
      }),
    );
  }

  async function bring(claims: object, scope = 'notes:read notes:purge') {
    const parameters = { grant_type: JWT_BEARER, assertion: partner.assertion({ ...claims }), scope };
    const { status, body } = await tokenRequest(server.issuer, parameters, 'portal:portal-secret');
    if (status !== 200) return { status, error: body['error'] };
    const { claims: said } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    return { status, sub: said.sub, scope: said['scope'] };
  }

  async function idOf(person: Person): Promise<string | undefined> {
    const { id_token: idToken = '' } = await tokensFor(server.issuer, { person });
    return (await verified(server.issuer, idToken, 'demo-notes')).claims.sub;
  }

  /** As the page of signing up does. @returns the account's id */
  async function signUp(email: string): Promise<string> {
    const accounts = accountsOn(records, server.directory);
    const made = await accounts.create({ email, name: 'Kate', roles: ['user'], origin: 'sign-up' });
    assert.ok(made !== 'email-taken');
    return made.id;
  }

  const refused = { status: 400, error: 'invalid_grant' };

  it('A service’s assertion yields a token for the client with the scopes of the issuer’s policy', async () => {
    await trust({ is: 'service' }, { claims: { sub: ['job'] } });
    assert.deepEqual(await bring({ sub: 'job' }), { status: 200, sub: 'portal', scope: 'notes:read notes:purge' });
  });

  it('A linked subject yields a token for its account with the scopes that its roles allow', async () => {
    await trust({ is: 'account', links: { one: 'alice@example.com', two: 'admin@example.com' } });
    const [alice, admin] = [await idOf(ALICE), await idOf(ADMIN)];
    assert.deepEqual(await bring({ sub: 'one' }), { status: 200, sub: alice, scope: 'notes:read' });
    assert.deepEqual(await bring({ sub: 'two' }), { status: 200, sub: admin, scope: 'notes:read notes:purge' });
    assert.deepEqual(await bring({ sub: 'three' }), refused);
  });

  it('The server finds the linked account by the claim that the rule names', async () => {
    await trust({ is: 'account', claim: 'employee', links: { 'E-7': 'alice@example.com' } });
    assert.equal((await bring({ sub: 'x', employee: 'E-7' })).sub, await idOf(ALICE));
    assert.deepEqual(await bring({ sub: 'E-7' }), refused);
  });

  it('A verified address links the subject to its account, and the link outlives a change of address', async () => {
    await trust({ is: 'account', match_email: true });
    const alice = await idOf(ALICE);
    assert.deepEqual(await bring({ sub: 'a1', email: 'alice@example.com' }), refused);
    assert.equal((await bring({ sub: 'a1', email: 'ALICE@Example.com', email_verified: true })).sub, alice);
    assert.equal((await bring({ sub: 'a1', email: 'admin@example.com', email_verified: true })).sub, alice);
    assert.equal((await bring({ sub: 'a1' })).sub, alice);
  });

  it('An address does not lead to an account that a stranger signed up, by match_email or by a link', async () => {
    await trust({ is: 'account', match_email: true, links: { linked: 'kate@example.com' } });
    const kate = { sub: 'k1', email: 'kate@example.com', email_verified: true };
    const squatter = await signUp(kate.email);
    assert.deepEqual(await bring(kate), refused);
    assert.deepEqual(await bring({ sub: 'linked' }), refused);
    await withAccount(server, kate.email, (accounts, { id }) => accounts.verifyEmail(id, 'operator'));
    assert.equal((await bring(kate)).sub, squatter);
    assert.equal((await bring({ sub: 'linked' })).sub, squatter);
  });

  it('An address does not lead to an account of unknown origin from an earlier version', async () => {
    await trust({ is: 'account', match_email: true });
    const email = 'old@example.com';
    const id = await signUp(email);
    const stored = await records.get<object>(`account:${id}`);
    const { origin: _, ...account } = stored?.value as { origin: string };
    await records.set(`account:${id}`, account, { indexes: ['accounts'] });
    const old = { sub: 'o1', email, email_verified: true };
    assert.deepEqual(await bring(old), refused);
    await withAccount(server, email, (accounts, account) => accounts.verifyEmail(account.id, 'operator'));
    assert.equal((await bring(old)).sub, id);
  });

  it('An address that only folds to an account’s address leads to no account', async () => {
    await trust({ is: 'new_account', match_email: true });
    await withAccount(server, 'alice@example.com', async (accounts) => {
      const made = { email: 'mike@example.com', name: 'Mike', roles: ['user'], origin: 'operator' as const };
      assert.ok((await accounts.create(made)) !== 'email-taken');
    });
    for (const email of ['mi\u212Ae@example.com', 'mike@ex\uFF41mple.com'])
      assert.deepEqual(await bring({ sub: 'f1', email, email_verified: true }), refused);
  });

  it('An issuer’s verified address is recorded as verified, and apps receive it so', async () => {
    await trust({ is: 'new_account', match_email: true });
    const uma = { email: 'uma@m\u00FCnchen.example', name: 'Uma', roles: ['user'], origin: 'operator' as const };
    await withAccount(server, 'alice@example.com', (accounts) => accounts.create(uma));
    for (const email of ['uma@xn--mnchen-3ya.example', 'vera@partner.example'])
      assert.equal((await bring({ sub: email, email, email_verified: true })).status, 200);
    for (const email of [uma.email, 'vera@partner.example'])
      await withAccount(server, email, (_accounts, account) => {
        assert.deepEqual(accountClaims(account, ['email']).email_verified, true);
        return Promise.resolve();
      });
  });

  it('A link of one issuer does not apply to another issuer', async () => {
    await trust({ is: 'account', match_email: true });
    await bring({ sub: 'b1', email: 'alice@example.com', email_verified: true });
    const other = foreignIssuer('https://other.example', server.issuer);
    await issuers.save(
      issuerSchema.parse({
        issuer: other.issuer,
        jwks: { keys: [other.jwk] },
        subject: { is: 'account' },
        clients: ['portal'],
        resources: [apiOf(server.issuer)],
      }),
    );
    const parameters = { grant_type: JWT_BEARER, assertion: other.assertion({ sub: 'b1' }) };
    const { status, body } = await tokenRequest(server.issuer, parameters, 'portal:portal-secret');
    assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
  });

  it('A new subject gets one new account with the roles of the rule', async () => {
    await trust({ is: 'new_account', roles: ['admin'] });
    const first = await bring({ sub: 'n1', email: 'zoe@partner.example', email_verified: true, name: 'Zoë' });
    assert.deepEqual([first.status, first.scope], [200, 'notes:purge']);
    assert.equal((await bring({ sub: 'n1', email: 'zoe@elsewhere.example', email_verified: true })).sub, first.sub);
    await withAccount(server, 'zoe@partner.example', (_accounts, account) => {
      assert.deepEqual([account.id, account.name, account.roles], [first.sub, 'Zoë', ['admin']]);
      return Promise.resolve();
    });
  });

  it('A subject’s new account is usable even if its node died between any two writes', async () => {
    await trust({ is: 'new_account', roles: ['user'] });
    for (let writes = 0, hadDied = true; hadDied; writes += 1) {
      const person = {
        sub: `broken-off-${writes}`,
        email: `broken-off-${writes}@partner.example`,
        email_verified: true,
      };
      dying.dieAfter(writes);
      await bring(person);
      hadDied = dying.revive();
      const { status, sub } = await bring(person);
      assert.equal(status, 200, `after ${writes} writes`);
      assert.equal((await bring({ sub: person.sub })).sub, sub);
    }
  });

  it('A refused assertion creates no account, and a deceptive name is replaced by the address', async () => {
    await trust({ is: 'new_account' });
    const yan = { sub: 'n2', email: 'yan@partner.example', email_verified: true, name: 'Y\u202Ean' };
    assert.deepEqual(await bring({ ...yan }, 'notes:unknown'), refused);
    await assert.rejects(
      withAccount(server, yan.email, () => Promise.resolve()),
      /no account/,
    );
    assert.equal((await bring(yan)).status, 200);
    await withAccount(server, yan.email, (_accounts, account) => {
      assert.equal(account.name, yan.email);
      return Promise.resolve();
    });
  });

  it('The JWT bearer grant refuses the subject of a disabled account and accepts it again once it is enabled', async () => {
    await trust({ is: 'new_account' });
    const xena = { sub: 'n3', email: 'xena@partner.example', email_verified: true };
    const { sub } = await bring(xena);
    await withAccount(server, xena.email, (accounts, { id }) => accounts.disable(id));
    assert.deepEqual(await bring(xena), refused);
    await withAccount(server, xena.email, (accounts, { id }) => accounts.enable(id));
    assert.equal((await bring(xena)).sub, sub);
  });

  it('The JWT bearer grant refuses the assertions of an issuer as soon as it is removed', async () => {
    await trust({ is: 'account', links: { one: 'alice@example.com' } });
    assert.equal((await bring({ sub: 'one' })).status, 200);
    await issuers.remove(partner.issuer);
    assert.deepEqual(await bring({ sub: 'one' }), refused);
  });

  it('A DPoP-bound assertion or client yields a bound token, and only with a proof by the right key', async () => {
    await trust({ is: 'account', links: { one: 'alice@example.com' } });
    const [holder, thief] = [await newHolder(), await newHolder()];
    const show = async (claims: object, shown: typeof holder | undefined, client: string) => {
      const response = await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${client}:portal-secret`).toString('base64')}`,
          ...(shown && { dpop: await proof(shown, { htm: 'POST', htu: `${server.issuer}/token` }) }),
        },
        body: new URLSearchParams({ grant_type: JWT_BEARER, assertion: partner.assertion({ sub: 'one', ...claims }) }),
      });
      const body = (await response.json()) as Record<string, string>;
      return { status: response.status, type: body['token_type'], error: body['error'], token: body['access_token'] };
    };
    const cnf = { jkt: await calculateJwkThumbprint(holder.jwk) };
    const bound = await show({ cnf }, holder, 'portal');
    assert.deepEqual([bound.status, bound.type], [200, 'DPoP']);
    const { claims } = await verified(server.issuer, bound.token, apiOf(server.issuer));
    assert.deepEqual(claims['cnf'], cnf);
    for (const [said, shown, client] of [
      [{ cnf }, thief, 'portal'],
      [{ cnf }, undefined, 'portal'],
      [{}, undefined, 'holder'],
    ] as const) {
      const { status, error } = await show(said, shown, client);
      assert.deepEqual([status, error], [400, 'invalid_grant']);
    }
    assert.equal((await show({}, holder, 'holder')).type, 'DPoP');
  });
});
