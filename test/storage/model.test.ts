import assert from 'node:assert/strict';
import fc from 'fast-check';
import { openStore } from '../../src/storage/open-store.ts';
import type { Index, Key, Store, Stored } from '../../src/storage/store.ts';
import type { RunningBackend } from './backends.ts';
import { MovedClock } from '../support/clock.ts';
import { postgres, redis, redisCluster, sqlite } from './backends.ts';
import type { Step } from './model.ts';
import { Model, steps } from './model.ts';

/** A write's options as the port takes them. */
function options(run: number, { ttl, indexes }: { ttl: number | undefined; indexes: number[] }) {
  return { ...(ttl !== undefined && { ttl }), indexes: indexes.map((index): Index<unknown> => `${run}-${index}`) };
}

/** Does the step on the store. @returns its answer, in the model's terms */
async function perform(store: Store, clock: MovedClock, run: number, step: Step): Promise<unknown> {
  if (step.verb === 'advance') {
    clock.advance(step.seconds);
    return undefined;
  }
  if (step.verb === 'members') return walk(store, run, step.index, step.limit);
  if (step.verb === 'enlist') return store.enlist(`${run}-${step.index}`, `${run}:${step.key}`, step.ttl);
  const key: Key<unknown> = `${run}:${step.key}`;
  switch (step.verb) {
    case 'set':
    case 'create':
      return store[step.verb](key, step.value, options(run, step));
    case 'replace': {
      const version = (await store.get(key))?.version ?? 1;
      return store.replace(key, step.value, step.stale ? version - 1 : version, options(run, step));
    }
    case 'get':
    case 'take':
      return shown(await store[step.verb](key));
    case 'consume':
    case 'delete':
      return store[step.verb](key);
    case 'increment':
      return store.increment(`${run}:${step.key}`, step.by, step.ttl);
    case 'setBits':
      return store.setBits(`${run}:${step.key}`, step.offsets, step.ttl);
    case 'readBits':
      return ones(await store.readBits(`${run}:${step.key}`));
  }
}

async function walk(store: Store, run: number, index: number, limit: number): Promise<number[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.members(`${run}-${index}`, { limit, ...(after !== undefined && { after }) });
    keys.push(...page.keys);
    after = page.next;
  } while (after !== undefined);
  // One that was entered again may come again; where it stays longest is its place.
  const numbers = keys.map((key) => Number(key.split(':')[1]));
  return numbers.filter((number, at) => numbers.lastIndexOf(number) === at);
}

function shown(record: Stored<unknown> | undefined): unknown {
  if (record === undefined) return undefined;
  const { version, ...rest } = record;
  assert.ok(version > 0);
  return rest;
}

function ones(bits: Buffer): number[] {
  return [...bits].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> (7 - bit)) & 1).map((bit) => at * 8 + bit),
  );
}

for (const backend of [sqlite, redis, redisCluster, postgres]) {
  describe(`Random sequences of store operations on ${backend.name}`, () => {
    const clock = new MovedClock();
    let running: RunningBackend;
    let store: Store;
    let run = 0;

    before(async function () {
      this.timeout(60_000);
      running = await backend.start();
      store = await openStore(running.url, clock);
    });
    after(async () => {
      await store.close();
      await running.stop();
    });

    it('The store answers every sequence as the model does', async () => {
      const property = fc.asyncProperty(steps, async (sequence) => {
        run += 1;
        const model = new Model(clock.now());
        for (const step of sequence) {
          assert.deepEqual(await perform(store, clock, run, step), normal(model.run(step)), JSON.stringify(step));
        }
      });
      await fc.assert(property, { numRuns: 300 });
    });
  });
}

/** As a value comes back from JSON: `-0` is 0. */
function normal(answer: unknown): unknown {
  return answer === undefined ? undefined : JSON.parse(JSON.stringify(answer));
}
