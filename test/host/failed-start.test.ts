import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../src/config/schema.ts';
import { StoreUnavailable } from '../../src/storage/store.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServerOptions } from '../support/server.ts';
import { storesAround } from '../support/stores-around.ts';
import { until } from '../support/until.ts';

/** Longer than any part of a server waits before it asks the store again, in milliseconds. */
const LOOKS = 2500;
/** More calls than a start makes. */
const MOST = 500;

/** Has every part of a server ask the store, each as often as it may. */
function busy(config: Config): Config {
  const announce = config.keys.jwks_max_age + config.keys.clock_skew + 2;
  return {
    ...config,
    keys: { ...config.keys, announce },
    shared_signals: { ...config.shared_signals, enabled: true },
  };
}

/** Starts a server, and collects the calls of its store that come after the start has failed. */
async function startAndFail(options: TestServerOptions, error: assert.AssertPredicate): Promise<string[]> {
  let hasFailed = false;
  const late: string[] = [];
  const { openStores } = storesAround((call, name) => {
    if (hasFailed) late.push(name);
    return call();
  });
  await assert.rejects(startTestServer({ change: busy, ...options, openStores }), error);
  hasFailed = true;
  return late;
}

/** Starts a server whose store is away from one call on. @returns undefined where the start makes fewer calls */
async function startWithout(answers: number): Promise<string[] | undefined> {
  let [left, isOver] = [answers, false];
  const late: string[] = [];
  const { openStores } = storesAround((call, name) => {
    if (isOver) late.push(name);
    left -= 1;
    if (name !== 'close' && left < 0) return Promise.reject(new StoreUnavailable('away'));
    return call();
  });
  try {
    await (await startTestServer({ change: busy, openStores })).close();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof StoreUnavailable, String(error));
    return late;
  } finally {
    isOver = true;
  }
}

describe('A server that fails to start', () => {
  it('The server makes no more store calls after it fails to open its port', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    try {
      const late = await startAndFail({ port }, { code: 'EADDRINUSE' });
      await sleep(LOOKS);
      assert.deepEqual(late, []);
    } finally {
      other.close();
    }
  });

  it('The server makes no more store calls after a configured file is missing', async () => {
    const change: TestServerOptions['change'] = (config) => ({
      ...busy(config),
      outgoing: { ...config.outgoing, ca: '/nowhere/ca.pem' },
    });
    const late = await startAndFail({ change }, { code: 'ENOENT' });
    await sleep(LOOKS);
    assert.deepEqual(late, []);
  });

  it('The server makes no more store calls, whichever call of the start failed', async () => {
    const failed: string[][] = [];
    for (let late = await startWithout(0); late !== undefined; late = await startWithout(failed.length)) {
      failed.push(late);
      assert.ok(failed.length < MOST, 'it starts without a store');
    }
    assert.ok(failed.length > 10, `a start makes only ${failed.length} calls`);
    await sleep(LOOKS);
    assert.deepEqual(Object.fromEntries(Object.entries(failed).filter(([, late]) => late.length > 0)), {});
  }).timeout(180_000);
});

describe('A server that stops', () => {
  it('The server makes no more store calls after it stops, even during a health check', async () => {
    let [isSlow, isOver] = [false, false];
    const begun: string[] = [];
    const late: string[] = [];
    const { openStores } = storesAround(async (call, name) => {
      begun.push(name);
      if (isSlow && name !== 'close') await sleep(500);
      if (isOver) late.push(name);
      return call();
    });
    await using server = await startTestServer({ change: busy, openStores });
    const before = begun.length;
    // The last check of the start counts for a second.
    await sleep(1100);
    isSlow = true;
    const gone = new AbortController();
    const asked = fetch(`${server.issuer}/readyz`, { signal: gone.signal }).catch(() => undefined);
    await until(() => begun.slice(before).includes('health'));
    gone.abort();
    await asked;
    await server.close();
    isOver = true;
    await sleep(LOOKS);
    assert.deepEqual(late, []);
  });
});
