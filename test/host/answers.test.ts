import assert from 'node:assert/strict';
import { sha256 } from '../../src/lib/hash.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Key, Store } from '../../src/storage/store.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Responses to a server fault', () => {
  let server: TestServer;
  let grants: Store;
  before(async () => {
    server = await startTestServer();
    grants = await openStore(server.config.stores.grants, systemClock);
  });
  after(async () => {
    await grants.close();
    await server.close();
  });

  async function spoil(kind: string, id: string): Promise<void> {
    const key: Key<object> = `${kind}:${sha256(id)}`;
    await grants.set(key, { ...(await grants.get(key))?.value, sealed: 'spoilt' }, { ttl: 60 });
  }

  it('The token endpoint answers server_error with the request id and without the cause', async () => {
    const request = authorizationRequest(server.issuer);
    const callback = await signIn(new Browser(), request);
    await spoil('authorization-code', callback.searchParams.get('code') ?? '');
    const { status, body, response } = await exchangeCode(server.issuer, request, callback);
    assert.equal(status, 500);
    assert.deepEqual(body, {
      error: 'server_error',
      error_description: `Something went wrong on our side, and the server could not complete the request. Request ${response.headers.get('x-request-id') ?? ''}.`,
    });
  });

  it('The error page of a server fault shows the request id and hides the cause', async () => {
    const browser = new Browser();
    const { url } = await browser.visit(authorizationRequest(server.issuer).url);
    const uid = new URL(url).pathname.split('/')[2] ?? '';
    await spoil('interaction', uid);
    for (const at of [url, `${server.issuer}/authorize/${uid}`]) {
      const page = await browser.visit(at);
      assert.equal(page.status, 500, at);
      assert.match(page.html, /Something went wrong/);
      assert.match(page.html, /<dd>server_error<\/dd>/);
      assert.ok(page.html.includes(page.response.headers.get('x-request-id') ?? 'none'));
      assert.doesNotMatch(page.html, /spoil|unseal|decrypt|auth tag|oops/i);
    }
  });
});
