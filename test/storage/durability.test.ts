import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { sqlite } from './backends.ts';

/** Runs the writer and kills it without warning. @returns the last write that it has had acknowledged */
async function writeUntilKilled(url: string, writes: number): Promise<number> {
  const child = fork(join(import.meta.dirname, 'writer.ts'), [url]);
  let last = -1;
  child.on('message', (at) => {
    last = Number(at);
    if (last === writes) child.kill('SIGKILL');
  });
  await once(child, 'close');
  assert.equal(child.signalCode, 'SIGKILL');
  return last;
}

describe('An SQLite store whose process is killed', () => {
  it('SQLite loses no acknowledged write after kill -9, and continues', async () => {
    const running = await sqlite.start();
    const last = await writeUntilKilled(running.url, 1500);
    const store = await openStore(running.url, systemClock);
    for (let at = 0; at <= last; at += 1) {
      const record = await store.get(`record:${at}`);
      assert.deepEqual(record?.value, { at, filler: 'x'.repeat(at % 3000) });
      assert.equal((await store.consume(`record:${at}`)).use, 'already');
    }
    assert.ok((await store.members('all', { limit: 100_000 })).keys.length > last);
    assert.ok((await store.increment('counter', 1, 600)) > last + 1);
    await store.close();
    await running.stop();
  });
});
