import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { json } from 'node:stream/consumers';
import { join } from 'node:path';
import type { IncomingMessage } from 'node:http';
import { serverStores } from '../oidc/server-stores.ts';
import { Browser } from '../support/browser.ts';
import { domainOn } from '../support/domain.ts';
import { ADMIN, ALICE, authorizationRequest, exchangeCode, refresh } from '../support/flows.ts';
import { isRevoked, placeOf } from '../status/published-lists.ts';
import { holdingStores } from '../support/held-call.ts';
import { until } from '../support/until.ts';
import { ALL, NOTHING, NodePair } from './node-pair.ts';

/** A form whose second half comes when it is asked for: the request has begun long before it can be answered. */
function slowForm(url: URL, form: string): { finish(): Promise<Record<string, unknown>> } {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': form.length };
  const request = httpRequest(url, { method: 'POST', headers });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  request.write(form.slice(0, 10));
  return {
    async finish() {
      request.end(form.slice(10));
      const [response] = await answered;
      return (await json(response)) as Record<string, unknown>;
    },
  };
}

const done = (): Promise<void> => Promise.resolve();

for (const backend of serverStores) {
  describe(`Requests that are concurrent with a revocation on ${backend.name}`, function () {
    this.timeout(60_000);
    const { around, openStores, meanwhile } = holdingStores();
    let setup: NodePair;
    before(async () => {
      setup = await NodePair.start(backend, undefined, openStores);
    });
    after(() => setup.stop());

    it('A sweep revokes a machine token whose request began before the revocation', async () => {
      const credentials = { client_id: 'demo-service', client_secret: 'demo-service-secret' };
      const form = new URLSearchParams({ grant_type: 'client_credentials', ...credentials }).toString();
      const slow = slowForm(new URL('/token', setup.node.issuer), form);
      const begun = Date.now();
      await until(() => Date.now() > begun + 50);
      await setup.operations.rollClientSecret('demo-service', done);
      const { access_token = '' } = await slow.finish();
      const later = await setup.machineToken();
      await until(async () => !(await setup.isActive(String(access_token))));
      assert.ok(await setup.isActive(later));
    });

    it('A sign-in with the former password gets no tokens, however late it completes', async () => {
      const { issuer } = setup.node;
      const browser = new Browser();
      const request = authorizationRequest(issuer, 'demo-notes', { scope: 'openid offline_access notes:read' });
      const page = await browser.visit(request.url, {}, request.redirectUri);
      // The password was right; the browser is told where to go on, and waits.
      const resume = await browser.submit(page, { ...ALICE }, `${issuer}/authorize/`);
      const { account } = await setup.holding();
      await setup.operations.changeCredentials(account, 'password-changed', { store: done });
      // An earlier instant does not undo a later one.
      await setup.domain.revoke({ what: 'account', account, before: Date.now() - 3_600_000 }, 'ended-by-operator');
      const back = await browser.visit(resume.url, {}, request.redirectUri);
      const callback = new URL(back.url);
      assert.equal((await exchangeCode(issuer, request, callback)).body['error'], 'invalid_grant');
      assert.equal(await setup.isSignedIn({ browser, client: 'demo-notes' }), false);
    });

    it('A revocation ends a session from before its instant, even if the session was used since', async () => {
      const person = await setup.newPerson('early');
      const holding = await setup.holding({ person });
      const before = Date.now() + 1;
      await until(() => Date.now() > before);
      assert.ok(await setup.isSignedIn({ ...holding, client: 'demo-photos' }));
      await setup.domain.revoke({ what: 'account', account: holding.account, before }, 'ended-by-operator');
      assert.deepEqual(await setup.left(holding), NOTHING);
    });

    it('Tokens that are issued while their session ends are revoked', async () => {
      const { issuer } = setup.node;
      const person = await setup.newPerson('leaver');
      const { browser } = await setup.holding({ person });
      const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', scope: 'openid email' });
      const callback = await browser.visit(request.url, {}, request.redirectUri);
      const question = await browser.visit(`${issuer}/logout`);
      const { status, body } = await meanwhile(
        () => exchangeCode(issuer, request, new URL(callback.url)),
        (verb, key) => verb === 'set' && key.startsWith('refresh-token:'),
        () => browser.submit(question, { logout: 'yes' }),
      );
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal((await refresh(issuer, String(body['refresh_token']))).status, 400);
      assert.equal(await setup.isActive(String(body['access_token'])), false);
    });

    it('A request that adds scopes to a grant during its revocation does not restore the grant', async () => {
      const { issuer } = setup.node;
      const person = await setup.newPerson('widener');
      const { browser, refresh: token } = await setup.holding({ person });
      const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', scope: 'openid profile' });
      const callback = await meanwhile(
        () => browser.visit(request.url, {}, request.redirectUri),
        (verb, key) => verb === 'replace' && key.startsWith('grant:'),
        () => {
          const body = new URLSearchParams({ token, client_id: 'demo-notes' });
          return fetch(`${issuer}/revoke`, { method: 'POST', body });
        },
      );
      const { status, body } = await exchangeCode(issuer, request, new URL(callback.url));
      assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
    });

    it('Nobody can sign in to an account while it is being removed', async () => {
      const person = await setup.newPerson('leaving');
      const { account } = await setup.holding({ person });
      const { operations } = domainOn(around(setup.stores), setup.node.config);
      const isRemoved = await meanwhile(
        () => operations.removeAccount(account),
        (verb, key) => verb === 'delete' && key.startsWith('password:'),
        async () => {
          const request = authorizationRequest(setup.node.issuer);
          const browser = new Browser();
          const page = await browser.visit(request.url);
          assert.equal((await browser.submit(page, { ...person }, request.redirectUri)).status, 401);
        },
      );
      assert.equal(isRemoved, true);
    });

    it('A node completes the revocation of a process that was killed halfway', async () => {
      const person = ADMIN;
      const [here, elsewhere] = [await setup.holding({ person }), await setup.holding({ person })];
      const { issuer, stores } = setup.node.config;
      const work = { issuer, grants: stores.grants, account: here.account };
      const child = fork(join(import.meta.dirname, 'dying-command.ts'), [JSON.stringify(work)]);
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      assert.equal(signal, 'SIGKILL');
      const places = [here, elsewhere].map(({ jwt }) => placeOf(jwt));
      const takenBack = async () => {
        const each = await Promise.all(places.map((place) => isRevoked(place, setup.other)));
        return each.filter(Boolean).length;
      };
      await until(async () => (await takenBack()) > 0);
      assert.equal(await takenBack(), 1, 'it was in the middle');
      await until(async () => (await takenBack()) === 2);
      for (const holding of [here, elsewhere]) assert.deepEqual(await setup.left(holding), NOTHING);
      assert.deepEqual(await setup.left(await setup.holding({ person })), ALL);
    });
  });
}
