import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { systemClock, type Clock } from '../../src/lib/clock.ts';
import { StoreUnavailable } from '../../src/storage/store.ts';
import { tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { storesAround } from '../support/stores-around.ts';
import { until } from '../support/until.ts';
import { EventReader } from './event-reader.ts';
import { placeOf } from './published-lists.ts';

const MACHINE = 'demo-service:demo-service-secret';

describe('A node that compares its status lists with the store', function () {
  this.timeout(60_000);
  /** Seconds by which the node's clock is ahead of this machine's. */
  let ahead: number;
  const clock: Clock = { now: () => systemClock.now() + ahead * 1000 };
  let server: TestServer;
  /** Called before each look at the index of the lists. */
  let onLook: () => void;
  /** True while the store acknowledges writes of lists that it then loses. */
  let isLosing: boolean;

  const { openStores } = storesAround(async (call, name, [key]) => {
    if (name === 'members' && key === 'status-lists') onLook();
    const isOfLists = name === 'setBits' || (name === 'set' && String(key).startsWith('status-list:'));
    return isLosing && isOfLists ? undefined : call();
  });

  beforeEach(async () => {
    [ahead, isLosing, onLook] = [0, false, () => undefined];
    server = await startTestServer({ clock, openStores });
  });
  afterEach(() => server.close());

  const statusOf = async (path: string): Promise<number> => (await fetch(server.issuer + path)).status;
  const away = (): never => {
    throw new StoreUnavailable('away');
  };
  /** Has the next look take so many seconds by the node's clock, and the store be away after it. */
  async function lookOnceMore(seconds: number): Promise<void> {
    let looks = 0;
    onLook = () => {
      looks += 1;
      if (looks > 1) away();
      ahead += seconds;
    };
    await until(() => looks > 1);
  }

  async function newToken(): Promise<string> {
    const { status, body } = await tokenRequest(server.issuer, { grant_type: 'client_credentials' }, MACHINE);
    assert.equal(status, 200, JSON.stringify(body));
    return String(body['access_token']);
  }

  async function isActive(token: string): Promise<boolean> {
    const { body } = await post('/introspect', token, 'demo-web:demo-web-secret');
    return body['active'] === true;
  }

  async function post(path: string, token: string, basic: string) {
    const headers = { authorization: `Basic ${btoa(basic)}` };
    const response = await fetch(server.issuer + path, {
      method: 'POST',
      headers,
      body: new URLSearchParams({ token }),
    });
    assert.equal(response.status, 200);
    const text = await response.text();
    return { body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  }

  it('A node whose clock was set back serves no list, because it cannot know how old its lists are', async () => {
    await lookOnceMore(0);
    ahead -= 10;
    assert.equal(await statusOf('/status'), 503);
    onLook = () => undefined;
    await until(async () => (await statusOf('/status')) === 200);
  });

  it('The age of a list counts from the beginning of the comparison, however long the comparison took', async () => {
    await lookOnceMore(0.9);
    ahead += 0.2;
    assert.equal(await statusOf('/status'), 503);
  });

  it('A node sends no event that lists are current after a comparison that took long', async () => {
    const reader = await EventReader.open(server.issuer);
    await reader.next('current');
    let looks = 0;
    onLook = () => {
      looks += 1;
      ahead += 0.4;
    };
    await until(() => looks >= 4);
    const said = reader.named('current').length;
    await until(() => looks >= 8);
    assert.equal(reader.named('current').length, said);
    onLook = () => undefined;
    await reader.next('current');
    reader.close();
  });

  it('A node restores a revocation that the store has lost at its next comparison', async () => {
    const token = await newToken();
    assert.ok(await isActive(token));
    isLosing = true;
    await post('/revoke', token, MACHINE);
    isLosing = false;
    await until(async () => !(await isActive(token)), 15_000);
  });

  it('A node signs a list again after half of its lifetime, so that no list is about to expire', async () => {
    const { uri } = placeOf(await newToken());
    const fetched = async () => decodeJwt(await (await fetch(uri)).text());
    const { iat = 0, exp = 0 } = await fetched();
    ahead += (exp - iat) / 2 + 2;
    const later = await fetched();
    assert.ok((later.exp ?? 0) - (later.iat ?? 0) === exp - iat && (later.iat ?? 0) > iat, JSON.stringify(later));
  });
});
