import assert from 'node:assert/strict';
import { openAccounts } from '../../src/accounts/accounts.ts';
import { newId } from '../../src/lib/ids.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { FORMS } from './forms.ts';
import { dyingStore, type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';

const ann = { email: 'ann@example.com', name: 'Ann', roles: ['user'], origin: 'operator' as const };

for (const [form, sealing] of Object.entries(FORMS)) {
  describe(`Accounts ${form}`, () => {
    let place: TemporaryStore;
    const open = (records: Store = place.store) =>
      openAccounts({ records, clock: place.clock, random: systemRandom, sealing });

    beforeEach(() => {
      place = temporaryStore();
    });
    afterEach(() => place.remove());

    async function created(person = ann) {
      const account = await open().create(person);
      assert.ok(account !== 'email-taken');
      return account;
    }

    it('The store finds accounts by id and by any spelling of their address', async () => {
      const account = await created({
        email: ' Ann@Example.COM ',
        name: ' Ann ',
        roles: ['user', 'user'],
        origin: 'operator' as const,
      });
      assert.deepEqual(account, { ...ann, id: account.id, createdAt: place.clock.now() });
      assert.match(account.id, /^acc_/);
      assert.deepEqual(await open().find(account.id), account);
      assert.deepEqual(await open().findByEmail('ANN@example.com'), account);
      assert.equal(await open().find('acc_unknown'), undefined);
      assert.equal(await open().findByEmail('bob@example.com'), undefined);
      assert.equal(await open().findByEmail('not an address'), undefined);
    });

    it('Only one account gets an address if twenty people on two nodes sign up with it at once', async () => {
      const [one, other] = [open(), open(place.again())];
      const spellings = ['ann@example.com', 'ANN@example.com', ' ann@EXAMPLE.com'];
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, turn) => {
          const person = { ...ann, name: `Ann ${turn}`, email: spellings[turn % 3] ?? '' };
          return (turn % 2 === 0 ? one : other).create(person);
        }),
      );
      const winners = answers.filter((answer) => answer !== 'email-taken');
      assert.equal(winners.length, 1);
      assert.deepEqual(await open().findByEmail(ann.email), winners[0]);
      assert.deepEqual((await open().list()).accounts, winners);
    });

    it('A crash while an account is created leaves either the whole account or a free address', async () => {
      for (const writes of [0, 1, 2, 3]) {
        const email = `crash-${writes}@example.com`;
        await open(dyingStore(place.store, writes))
          .create({ ...ann, email })
          .catch(() => undefined);
        const before = await open().findByEmail(email);
        const again = await open().create({ ...ann, email });
        assert.equal(again === 'email-taken', before !== undefined);
        assert.equal((await open().list()).accounts.filter((account) => account.email === email).length, 1);
      }
    });

    it('The store refuses an account with an invalid address', async () => {
      await assert.rejects(open().create({ ...ann, email: 'ann' }), { name: 'RangeError' });
      assert.deepEqual((await open().list()).accounts, []);
    });

    it('The store refuses a new account with the id of another', async () => {
      const { id } = await created();
      await assert.rejects(open().create({ ...ann, id, email: 'bob@example.com' }), {
        message: 'the account id is in use',
      });
      assert.equal((await open().find(id))?.email, ann.email);
      assert.equal(await open().findByEmail('bob@example.com'), undefined);
    });

    it('Concurrent changes of an account are all kept', async () => {
      const { id } = await created();
      const [one, other] = [open(), open(place.again())];
      await Promise.all([one.setRoles(id, ['admin']), other.disable(id)]);
      const changed = await open().find(id);
      assert.deepEqual(changed?.roles, ['admin']);
      assert.equal(changed.disabledAt, place.clock.now());
    });

    it('An account keeps the time when it was first disabled, and loses it when it is enabled', async () => {
      const { id } = await created();
      const first = place.clock.now();
      await open().disable(id);
      place.clock.advance(60);
      assert.equal((await open().disable(id))?.disabledAt, first);
      assert.deepEqual(await open().enable(id), { ...ann, id, createdAt: first });
    });

    it('A change of an account that does not exist creates none', async () => {
      const id = newId<'account'>('acc', place.clock, systemRandom);
      assert.equal(await open().setRoles(id, ['admin']), undefined);
      assert.equal(await open().disable(id), undefined);
      assert.equal(await open().find(id), undefined);
    });

    it('The list of accounts has pages from the oldest account on, even after a change', async () => {
      const emails = ['c@example.com', 'a@example.com', 'b@example.com'];
      for (const email of emails) {
        const { id } = await created({ ...ann, email });
        place.clock.advance(1);
        if (email === 'c@example.com') await open().setRoles(id, ['admin']);
      }
      const first = await open().list({ limit: 2 });
      assert.ok(first.next !== undefined);
      const second = await open().list({ after: first.next, limit: 2 });
      assert.equal(second.next, undefined);
      assert.deepEqual(
        [...first.accounts, ...second.accounts].map((account) => account.email),
        emails,
      );
    });
  });
}
