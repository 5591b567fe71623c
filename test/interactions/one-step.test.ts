import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom } from '../../src/lib/random.ts';
import { Interactions } from '../../src/oidc/storage/interactions.ts';
import { pendingRequests } from '../../src/oidc/storage/pending-requests.ts';
import { StoreUnavailable } from '../../src/storage/store.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer } from '../support/server.ts';
import { storesAround } from '../support/stores-around.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { until } from '../support/until.ts';

describe('Interaction locks', () => {
  let place: TemporaryStore;
  beforeEach(() => {
    place = temporaryStore();
  });
  afterEach(() => place.remove());

  function node(): Interactions {
    const limits = { kib_per_address: 1024, kib_total: 1024 };
    const parts = { grants: place.again(), clock: place.clock, random: systemRandom };
    const pending = pendingRequests({ ...parts, limits, knownBrowser: () => undefined });
    return new Interactions({ ...parts, pending, reportFailure: (error) => assert.fail(String(error)) });
  }

  it('An interaction step that outlives its lock does not release the lock that another node has taken since', async () => {
    const [slow, next] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const begun: string[] = [];
    const step = (name: string, end: Promise<undefined>) =>
      node().alone('one', async () => {
        begun.push(name);
        await end;
      });
    const first = step('slow', slow.promise);
    await until(() => begun.length === 1);
    place.clock.advance(31);
    const second = step('next', next.promise);
    await until(() => begun.length === 2);
    slow.resolve(undefined);
    await first;
    const third = step('last', Promise.resolve(undefined));
    // It asks for its turn at once, and ten times a second.
    await Promise.race([third, sleep(300)]);
    assert.deepEqual(begun, ['slow', 'next']);
    next.resolve(undefined);
    await second;
    // The store's clock stands still here.
    place.clock.advance(1);
    await third;
  });
});

describe('A sign-in while its attempt cannot be uncounted', () => {
  it('A sign-in still leads to its app if the store fails to lower the attempt counter', async () => {
    let failures = 0;
    const { openStores } = storesAround((call, name, [counter, by]) => {
      if (name !== 'increment' || !String(counter).startsWith('spent:') || Number(by) >= 0) return call();
      failures += 1;
      return Promise.reject(new StoreUnavailable('no answer'));
    });
    await using server = await startTestServer({ openStores });
    const request = authorizationRequest(server.issuer);
    const { status } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    assert.equal(status, 200);
    assert.ok(failures > 0);
  });
});

describe('A sign-in that fails after its interaction was consumed', () => {
  it('The interaction stays used after a store failure, and the server does not repeat the 503 response', async () => {
    let isAway = true;
    const { openStores } = storesAround((call, verb, [key]) =>
      isAway && verb === 'set' && String(key).startsWith('authorization-code:')
        ? Promise.reject(new StoreUnavailable('no answer'))
        : call(),
    );
    await using server = await startTestServer({ openStores });
    const request = authorizationRequest(server.issuer);
    const browser = new Browser();
    const page = await browser.visit(request.url);
    const failed = await browser.submit(page, { ...ALICE }, request.redirectUri);
    assert.equal(failed.status, 503);
    isAway = false;
    assert.equal((await browser.visit(failed.url, {}, request.redirectUri)).status, 400);
  });
});
