import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createVerifier,
  InvalidToken,
  StatusUnavailable,
  type Verifier,
} from '../../src/resource-server/resource-server.ts';
import { newPlace, type Place } from '../durability/command.ts';
import { tokensFor } from '../support/flows.ts';
import { MachineTime } from '../support/machine-time.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { TcpBalancer } from '../support/tcp-balancer.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** The bound, and what a busy machine may add, in milliseconds. */
const BOUND = 1000;
const BUSY = 700;
/** For a token to be refused at all. */
const PATIENCE = 60_000;

describe('An API whose issuer has a hung node', function () {
  this.timeout(120_000);
  let redis: RedisOfTests;
  let place: Place;
  let nodes: ServerProcess[];
  let balancer: TcpBalancer;
  let verifier: Verifier;

  before(async () => {
    redis = await startRedis({ appendonly: true });
    place = await newPlace(redis.url);
    nodes = [await startServerProcess(place), await startServerProcess(place)];
    balancer = new TcpBalancer(nodes);
    await balancer.listen(place.port);
  });
  after(async () => {
    for (const node of nodes) node.signal('SIGKILL');
    await Promise.all(nodes.map((node) => node.close()));
    await balancer.close();
    await redis.stop();
    await place.remove();
  });
  beforeEach(async () => {
    verifier = createVerifier({
      ...{ issuer: place.issuer, audience: apiOf(place.issuer), timeout: 3 },
      status: { check: 'required' },
    });
    balancer.streamAt = undefined;
  });
  afterEach(() => {
    verifier.close();
    for (const node of nodes) node.signal('SIGCONT');
  });

  const newToken = async (): Promise<string> => {
    const { access_token = '' } = await tokensFor(place.issuer, { parameters: { scope: 'openid notes:read' } });
    return access_token;
  };

  /** Until the list is followed by the stream. */
  async function follow(token: string): Promise<void> {
    await verifier.verify(token);
    await until(() => balancer.streamAt !== undefined);
    await sleep(2500);
    await verifier.verify(token);
  }

  /** @returns for how many milliseconds of this process from now on a token was accepted, by an API that is asked all the time */
  async function acceptedFor(token: string): Promise<number> {
    using machine = new MachineTime();
    const from = performance.now();
    for (let last = 0; performance.now() - from < PATIENCE;) {
      try {
        await verifier.verify(token);
        last = performance.now() - from - machine.lost;
      } catch (error) {
        if (error instanceof InvalidToken) return last;
        assert.ok(error instanceof StatusUnavailable, String(error));
      }
      await sleep(10);
    }
    return assert.fail('the token is still accepted');
  }

  it('The API refuses a token that another node revoked within the bound, and accepts a good one', async () => {
    const [revoked, good] = [await newToken(), await newToken()];
    await follow(revoked);
    const hung = nodes.find(({ url }) => Number(new URL(url).port) === balancer.streamAt) ?? assert.fail();
    const other = nodes.find((node) => node !== hung) ?? assert.fail();
    hung.signal('SIGSTOP');
    const body = new URLSearchParams({ token: revoked, client_id: 'demo-notes' });
    assert.equal((await fetch(new URL('/revoke', other.url), { method: 'POST', body })).status, 200);
    const accepted = await acceptedFor(revoked);
    assert.ok(accepted <= BOUND + BUSY, `it was accepted for ${accepted} ms`);
    await verifier.verify(good);
  });

  it('The API does not trust the status list while every node is silent', async () => {
    const token = await newToken();
    await follow(token);
    for (const node of nodes) node.signal('SIGSTOP');
    await sleep(BOUND + BUSY);
    await assert.rejects(verifier.verify(token), StatusUnavailable);
    for (const node of nodes) node.signal('SIGCONT');
    await until(() =>
      verifier.verify(token).then(
        () => true,
        () => false,
      ),
    );
  });

  it('The API relies on its status lists while connections to the issuer are refused', async () => {
    const token = await newToken();
    await follow(token);
    await balancer.close();
    await sleep(BOUND + BUSY);
    await verifier.verify(token);
    balancer = new TcpBalancer(nodes);
    await balancer.listen(place.port);
  });
});
