import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { openStores } from '../../../src/storage/open-stores.ts';
import { StoreUnavailable, type Store } from '../../../src/storage/store.ts';
import { returnToPresent, travel } from '../../support/clock.ts';
import { DyingNode } from '../../support/dying-node.ts';
import { refresh, tokensFor } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { until } from '../../support/until.ts';

const TEN_MINUTES = 600;
/** More than a refresh writes. */
const MOST = 20;

describe('A client that refreshes during a store outage of ten minutes', function () {
  this.timeout(120_000);
  const dying = new DyingNode();
  let server: TestServer;
  /** The next swap of a refresh token is made, and then its answer is lost. */
  let losesSwap = false;
  let swaps = 0;

  const losing = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        const verb = Reflect.get(target, name) as unknown;
        if (typeof verb !== 'function') return verb;
        return async (...given: unknown[]): Promise<unknown> => {
          const answer: unknown = await Reflect.apply(verb, target, given);
          if (name !== 'replace' || !String(given[0]).startsWith('refresh-token:')) return answer;
          swaps += 1;
          if (!losesSwap) return answer;
          dying.die();
          throw new StoreUnavailable('the answer of the store is lost');
        };
      },
    });

  const open: typeof openStores = async (urls, clock) => {
    const stores = await dying.openStores(urls, clock);
    const grants = losing(stores.grants);
    return { ...stores, grants, records: stores.records === stores.grants ? grants : stores.records };
  };

  before(async () => {
    server = await startTestServer({ openStores: open });
  });
  after(() => server.close());
  afterEach(() => {
    returnToPresent();
    dying.revive();
    losesSwap = false;
  });

  const firstToken = async (): Promise<string> => {
    const { refresh_token = '' } = await tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });
    return refresh_token;
  };

  /** It tries again, and goes on with what it gets. */
  async function assertGoesOn(token: string): Promise<void> {
    const { status, body } = await refresh(server.issuer, token);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal((await refresh(server.issuer, String(body['refresh_token']))).status, 200);
  }

  it('The client can refresh again after the outage, whichever write was the last to succeed', async () => {
    let hasDied = true;
    for (let writes = 0; hasDied; writes += 1) {
      assert.ok(writes < MOST);
      const token = await firstToken();
      dying.dieAfter(writes);
      const { status } = await refresh(server.issuer, token);
      travel(TEN_MINUTES);
      hasDied = dying.revive();
      assert.ok(status === 503 || status === 200, String(status));
      if (status !== 200) await assertGoesOn(token);
      returnToPresent();
    }
  });

  it('The client can refresh again even if the store used up its token and lost the answer', async () => {
    const token = await firstToken();
    losesSwap = true;
    for (let tries = 0; tries < 3; tries += 1) {
      const { status, response } = await refresh(server.issuer, token);
      assert.equal(status, 503);
      assert.ok(response.headers.has('retry-after'));
      travel(TEN_MINUTES / 3);
    }
    losesSwap = false;
    dying.revive();
    await assertGoesOn(token);
  });

  it('The client can refresh again long after it disconnected before the answer', async () => {
    const token = await firstToken();
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'demo-notes', refresh_token: token });
    const { host, port } = new URL(server.issuer);
    const before = swaps;
    const socket = connect(Number(port), 'localhost');
    await once(socket, 'connect');
    socket.write(
      `POST /token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
        `Content-Length: ${form.toString().length}\r\n\r\n${form.toString()}`,
      () => socket.resetAndDestroy(),
    );
    await until(() => swaps > before);
    travel(TEN_MINUTES);
    await assertGoesOn(token);
  });

  it('The server treats a repeat as a replay if the answer was sent and the window is over', async () => {
    const token = await firstToken();
    const { body } = await refresh(server.issuer, token);
    travel(TEN_MINUTES);
    assert.equal((await refresh(server.issuer, token)).status, 400);
    assert.equal((await refresh(server.issuer, String(body['refresh_token']))).status, 400);
  });

  it('A repeat is a replay once another repeat has got the lost answer after the outage', async () => {
    const token = await firstToken();
    losesSwap = true;
    assert.equal((await refresh(server.issuer, token)).status, 503);
    losesSwap = false;
    dying.revive();
    travel(TEN_MINUTES);
    const { status, body } = await refresh(server.issuer, token);
    assert.equal(status, 200);
    travel(31);
    assert.equal((await refresh(server.issuer, token)).status, 400);
    assert.equal((await refresh(server.issuer, String(body['refresh_token']))).status, 400);
  });
});
