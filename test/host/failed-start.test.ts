import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/server.ts';
import { storesAround } from '../support/stores-around.ts';

/** Longer than any part of a server waits before it asks the store again, in milliseconds. */
const LOOKS = 2500;

describe('A server that fails to start', () => {
  it('asks its store for nothing more once it has said why', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    let hasFailed = false;
    const late: string[] = [];
    const { openStores } = storesAround((call, name) => {
      if (hasFailed) late.push(name);
      return call();
    });
    try {
      await assert.rejects(startTestServer({ port, openStores }), { code: 'EADDRINUSE' });
      hasFailed = true;
      await sleep(LOOKS);
      assert.deepEqual(late, []);
    } finally {
      other.close();
    }
  });
});
