import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStores } from '../../src/storage/open-stores.ts';
import { StoreUnavailable, type Store } from '../../src/storage/store.ts';
import { refresh, tokenRequest, tokensFor, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Longer than it takes to sign a token, so that the token is ready before its entry fails. */
const LATE = 300;

describe('Tokens that no revocation could find', function () {
  this.timeout(60_000);
  let server: TestServer;
  let isFailing = false;

  const failing = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        const verb = Reflect.get(target, name) as unknown;
        if (typeof verb !== 'function') return verb;
        return async (...given: unknown[]): Promise<unknown> => {
          if (name !== 'enlist' || !isFailing) return Reflect.apply(verb, target, given) as unknown;
          await sleep(LATE);
          throw new StoreUnavailable('an entry could not be written');
        };
      },
    });

  before(async () => {
    server = await startTestServer({
      async openStores(urls, clock) {
        const stores = await openStores(urls, clock);
        const grants = failing(stores.grants);
        return { ...stores, grants, records: stores.records === stores.grants ? grants : stores.records };
      },
    });
  });
  after(() => server.close());
  afterEach(() => {
    isFailing = false;
  });

  const machine = (): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, { grant_type: 'client_credentials' }, 'demo-service:demo-service-secret');

  async function assertNotGiven(ask: () => Promise<TokenAnswer>): Promise<void> {
    isFailing = true;
    const { status, body, response } = await ask();
    isFailing = false;
    assert.equal(status, 503);
    assert.equal(body['access_token'], undefined);
    assert.ok(response.headers.has('retry-after'));
  }

  it('The server issues no JWT access token to a machine client if no revocation could find it', async () => {
    await assertNotGiven(machine);
    assert.equal((await machine()).status, 200);
  });

  it('A refresh fails if no revocation could find the new access token, and the refresh token stays valid', async () => {
    const { refresh_token } = await tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });
    await assertNotGiven(() => refresh(server.issuer, refresh_token));
    assert.equal((await refresh(server.issuer, refresh_token)).status, 200);
  });
});
