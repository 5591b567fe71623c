import assert from 'node:assert/strict';
import { createVerifier, InvalidToken } from '../../src/resource-server/resource-server.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { domainOn } from '../support/domain.ts';
import { tokenRequest } from '../support/flows.ts';
import { startRedis } from '../support/redis.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const HOUR = 3600;

describe('A node whose clock is wrong', function () {
  this.timeout(120_000);
  let store: RunningBackend;
  let server: TestServer;
  let other: ServerProcess;
  let stores: Stores;

  before(async () => {
    store = await startRedis({ appendonly: true });
    server = await startTestServer({ store: store.url, clock: 'of the store' });
    stores = await openStores(server.config.stores);
  });
  afterEach(() => other.close());
  after(async () => {
    await stores.close();
    await server.close();
    await store.stop();
  });

  async function startOther(ahead: number): Promise<void> {
    const { directory, issuer } = server;
    other = await startServerProcess({ directory, issuer, store: store.url, ahead });
  }

  async function issuedBy(url: string): Promise<string> {
    const parameters = { grant_type: 'client_credentials', scope: 'notes:read' };
    const { status, body } = await tokenRequest(url, parameters, 'demo-service:demo-service-secret');
    assert.equal(status, 200, JSON.stringify(body));
    return String(body['access_token']);
  }

  /** Settles once an API refuses the token as revoked. */
  async function revoked(token: string): Promise<void> {
    const verifier = createVerifier({
      issuer: server.issuer,
      audience: apiOf(server.issuer),
      status: { check: 'required' },
    });
    try {
      await until(async () => {
        const fault = await verifier.verify(token).catch((error: unknown) => error);
        return fault instanceof InvalidToken && fault.fault === 'revoked';
      });
    } finally {
      verifier.close();
    }
  }

  const endAll = () => domainOn(stores, server.config).operations.endBefore({ client: 'demo-service' });
  const readiness = async (url: string): Promise<unknown> => (await fetch(`${url}/readyz`)).json();

  it('A node with a fast clock issues no token that outlives another node’s revocation', async () => {
    await startOther(30);
    const token = await issuedBy(other.url);
    await endAll();
    await revoked(token);
    assert.deepEqual(await readiness(other.url), { status: 'ready' }, 'it is within clock_skew');
  });

  it('A node with a slow clock revokes a token that another node issued', async () => {
    await startOther(-30);
    const token = await issuedBy(server.issuer);
    const answer = await fetch(`${other.url}/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('demo-service:demo-service-secret')}` },
      body: new URLSearchParams({ token }),
    });
    assert.equal(answer.status, 200);
    await revoked(token);
  });

  it('A node whose clock jumps by an hour makes no other node’s token irrevocable', async () => {
    await startOther(0);
    const token = await issuedBy(server.issuer);
    other.travel(HOUR);
    await until(async () => (await fetch(`${other.url}/readyz`)).status === 503);
    // Enters the token where those of the client are, and throws out what is over.
    await tokenRequest(
      other.url,
      { grant_type: 'client_credentials', scope: 'notes:read' },
      'demo-service:demo-service-secret',
    );
    await endAll();
    await revoked(token);
  });

  it('A node whose clock is off by more than clock_skew is not ready, but the others are', async () => {
    await startOther(90);
    assert.deepEqual(await readiness(other.url), { status: 'clock differs' });
    assert.deepEqual(await readiness(server.issuer), { status: 'ready' });
    other.travel(-90);
    await until(async () => (await fetch(`${other.url}/readyz`)).status === 200);
  });
});
