import assert from 'node:assert/strict';
import { openAccounts } from '../../src/accounts/accounts.ts';
import { everyPage } from '../../src/accounts/every-account.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { FORMS, sealingOf } from './forms.ts';

const PEOPLE = [
  ['ann.smith@example.com', 'Ann Smith'],
  ['ann.jones@example.com', 'Anna Jones'],
  ['bob@smithery.test', 'Bob'],
  ['jm@example.org', 'José Müller-Weiß'],
  ['wei@example.org', '王小明'],
  ['c-3po@example.net', 'Threepio'],
  ['zoe@münchen.test', 'Zoe'],
] as const;

const FINDS: Record<string, readonly string[]> = {
  ann: ['ann.smith@example.com', 'ann.jones@example.com'],
  'smith ann': ['ann.smith@example.com'],
  SMITH: ['ann.smith@example.com', 'bob@smithery.test'],
  smithe: ['bob@smithery.test'],
  'ann.smith@example.com': ['ann.smith@example.com'],
  'Ann.Smith@EXAMPLE.com': ['ann.smith@example.com'],
  'ann.s': ['ann.smith@example.com'],
  'ann@example': ['ann.smith@example.com', 'ann.jones@example.com'],
  'jose muller': ['jm@example.org'],
  MÜLLER: ['jm@example.org'],
  王小: ['wei@example.org'],
  münchen: ['zoe@xn--mnchen-3ya.test'],
  'Zoe MÜNCH': ['zoe@xn--mnchen-3ya.test'],
  'xn--mnchen-3ya': ['zoe@xn--mnchen-3ya.test'],
  '3po': ['c-3po@example.net'],
  'nobody@example.com': [],
  mith: [],
  'ann bob': [],
  '...': [],
  '': [],
};

/** A store that counts the calls that wait for it, each of which is one trip. */
function counting(store: Store): { store: Store; trips: () => number } {
  let trips = 0;
  const counted = new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown => {
        trips += 1;
        return Reflect.apply(member, target, given);
      };
    },
  });
  return { store: counted, trips: () => trips };
}

for (const [form, sealing] of Object.entries(FORMS)) {
  describe(`A search of accounts ${form}`, () => {
    let place: TemporaryStore;
    const open = (records: Store = place.store) =>
      openAccounts({ records, clock: place.clock, random: systemRandom, sealing });

    before(async () => {
      place = temporaryStore();
      for (const [email, name] of PEOPLE) {
        await open().create({ email, name, roles: [], origin: 'operator' });
        place.clock.advance(1);
      }
    });
    after(() => place.remove());

    for (const [text, emails] of Object.entries(FINDS)) {
      it(`The account search for "${text}" finds ${emails.join(' and ') || 'nobody'} with at most five store operations`, async () => {
        const { store, trips } = counting(place.store);
        const { accounts, unreadable, next } = await open(store).search(text, { limit: 100 });
        assert.deepEqual(accounts.map(({ email }) => email).toSorted(), emails.toSorted());
        assert.deepEqual([unreadable, next], [[], undefined]);
        assert.ok(trips() <= 5, `${trips()} trips`);
      });
    }

    it('The account search finds an account by its id or the beginning of its id', async () => {
      const [{ id } = { id: '' }] = (await open().list()).accounts;
      const ids = async (text: string) => (await open().search(text, { limit: 100 })).accounts.map((one) => one.id);
      assert.deepEqual(await ids(id), [id]);
      assert.deepEqual(await ids(id.slice(0, 20)), [id]);
      assert.equal((await ids(id.slice(0, 6))).length, PEOPLE.length);
      assert.deepEqual(await ids('acc_zzz'), []);
    });

    it('The account search returns its results page by page', async () => {
      const found: string[] = [];
      for await (const page of everyPage((one) => open().search('example', one), 2)) {
        assert.ok(page.accounts.length <= 2);
        found.push(...page.accounts.map(({ email }) => email));
      }
      const expected = PEOPLE.filter(([email]) => email.includes('@example')).map(([email]) => email);
      assert.deepEqual(found.toSorted(), expected.toSorted());
    });

    it('An account search with an invented cursor ends', async () => {
      for (const after of ['x', 'example', 'example.', '.', 'ann.!!']) {
        const { accounts } = await open().search('example', { limit: 2, after });
        assert.ok(accounts.length <= 2, after);
      }
    });
  });
}

describe('A search of sealed accounts', () => {
  it('The account search hides an account that is stored under a word of another account', async () => {
    const place = temporaryStore();
    try {
      const accounts = openAccounts({
        ...{ records: place.store, clock: place.clock, random: systemRandom },
        sealing: sealingOf(2, 2, 2),
      });
      const made = await accounts.create({ email: 'ann@example.com', name: 'Ann', roles: [], origin: 'operator' });
      await accounts.create({ email: 'bob@example.org', name: 'Bob', roles: [], origin: 'operator' });
      assert.ok(made !== 'email-taken');
      const terms: string[] = [];
      for await (const items of place.store.dump())
        for (const item of items) if (item.kind === 'record') terms.push(...(item.terms ?? []));
      const key = await place.store.get<unknown>(`account-key:${made.id}`);
      await place.store.set(`account-key:${made.id}`, key?.value, { terms: [...new Set(terms)] });
      assert.deepEqual(
        (await accounts.search('bob', { limit: 10 })).accounts.map(({ name }) => name),
        ['Bob'],
      );
      assert.deepEqual(
        (await accounts.search('ann', { limit: 10 })).accounts.map(({ name }) => name),
        ['Ann'],
      );
    } finally {
      await place.remove();
    }
  });
});
