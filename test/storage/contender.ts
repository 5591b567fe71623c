/** A process of its own that hammers a store: forked by `contest.ts`, told what to do by messages. */
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Key, Store } from '../../src/storage/store.ts';

export interface Contest {
  verb: 'create' | 'consume' | 'take' | 'replace' | 'increment' | 'setBits' | 'set' | 'enlist';
  keys: string[];
  /** How many times this process tries on each key, all at once. */
  times: number;
  /** Of each key's record, for `replace`. */
  versions?: number[];
}

/** For each key, what its tries have answered. */
export type Answers = unknown[][];

type Try = (store: Store, key: Key<unknown>, at: number, version: number) => Promise<unknown>;

const [url = '', sideText] = process.argv.slice(2);
/** Which of the two this is: 0 or 1. */
const side = Number(sideText);
const LIFE = 600;
const VERBS: Record<Contest['verb'], Try> = {
  create: (store, key) => store.create(key, side, { ttl: LIFE, indexes: ['all'] }),
  consume: async (store, key) => (await store.consume(key)).use === 'first',
  take: async (store, key) => (await store.take(key)) !== undefined,
  replace: (store, key, _at, version) => store.replace(key, side, version, { ttl: LIFE, indexes: ['all'] }),
  increment: (store, key) => store.increment(String(key), 1, LIFE),
  setBits: (store, key, at) => store.setBits(String(key), [2 * at + side], LIFE),
  enlist: (store, key, at) => store.enlist(`entries-of-${key}`, `entry:${2 * at + side}`, LIFE),
  set: (store, key, at) => store.set(key, `${side}-${at}`, { ttl: LIFE + at, indexes: [`${side}-${at}`] }),
};

async function answer(store: Store, { verb, keys, times, versions = [] }: Contest): Promise<Answers> {
  const answers: Answers = keys.map(() => []);
  const tries = Array.from({ length: times }, (_, at) =>
    keys.map(async (key, which) => {
      answers[which]?.push(await VERBS[verb](store, key, at, versions[which] ?? 0));
    }),
  );
  await Promise.all(tries.flat());
  return answers;
}

const store = await openStore(url, systemClock);
process.on('message', (contest: Contest) => {
  void answer(store, contest).then((answers) => process.send?.(answers));
});
process.on('disconnect', () => void store.close());
process.send?.('ready');
