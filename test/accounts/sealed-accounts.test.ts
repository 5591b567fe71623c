import assert from 'node:assert/strict';
import type { NewAccount } from '../../src/accounts/account.ts';
import type { AccountSealing } from '../../src/accounts/account-keys.ts';
import { openAccounts } from '../../src/accounts/accounts.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { dyingStore, type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { sealingOf } from './forms.ts';

const ann: NewAccount = { email: 'ann.smith@example.com', name: 'Ann Smith', roles: ['user'], origin: 'operator' };
const bob: NewAccount = { email: 'bob@example.org', name: 'Bob Müller-Weiß', roles: ['user'], origin: 'operator' };
const SEALED = sealingOf(2, 2, 2);

describe('Sealed accounts', () => {
  let place: TemporaryStore;
  const open = (sealing: AccountSealing | undefined = SEALED, records: Store = place.store) =>
    openAccounts({ records, clock: place.clock, random: systemRandom, sealing });

  beforeEach(() => {
    place = temporaryStore();
  });
  afterEach(() => place.remove());

  async function created(person: NewAccount, sealing?: AccountSealing) {
    const account = await open(sealing).create(person);
    assert.ok(account !== 'email-taken');
    return account;
  }

  async function dumped(): Promise<string> {
    let text = '';
    for await (const items of place.store.dump()) text += items.map((item) => JSON.stringify(item)).join('\n');
    return text;
  }

  /** Writes a member of one record over that of another, as somebody who can write to the store may do. */
  async function copyRecord(from: string, to: string): Promise<void> {
    const stored = await place.store.get(from);
    assert.ok(stored !== undefined);
    await place.store.set(to, stored.value, { indexes: to.startsWith('account:') ? ['accounts'] : [] });
  }

  const annSees = async (id: string): Promise<unknown> => (await open().list()).unreadable.find((one) => one.id === id);

  it('A reader of the store sees neither name nor address of a sealed account, even after a change', async () => {
    const { id } = await created({ ...ann, madeFor: 'hash-of-the-issuer' });
    await open().setRoles(id, ['admin']);
    const text = (await dumped()).toLowerCase();
    assert.match(text, /admin/);
    for (const word of ['ann', 'smith', 'example', 'hash-of']) assert.ok(!text.includes(`"${word}`), word);
    for (const word of ['ann.', 'smith', 'example', 'hash-of']) assert.ok(!text.includes(word), word);
    assert.equal((await open().find(id))?.madeFor, 'hash-of-the-issuer');
  });

  it('A sealed account hides the length of a short name', async () => {
    const [one, other] = [
      await created({ ...ann, name: 'Al' }),
      await created({ ...bob, email: 'bob.smith@example.com' }),
    ];
    const [first, second] = await place.store.getMany<{ sealed: string }>([`account:${one.id}`, `account:${other.id}`]);
    assert.equal(first?.value.sealed.length, second?.value.sealed.length);
  });

  it('The sealed data of one account does not open in another, and the other accounts stay readable', async () => {
    const [one, other] = [await created(ann), await created(bob)];
    await copyRecord(`account:${one.id}`, `account:${other.id}`);
    await assert.rejects(open().find(other.id), /sealed for another account, or was altered/);
    await assert.rejects(open().findByEmail(bob.email), { name: 'AccountUnreadable', account: other.id });
    assert.deepEqual((await open().list()).accounts, [one]);
  });

  it('The sealing key of one account does not open another', async () => {
    const [one, other] = [await created(ann), await created(bob)];
    await copyRecord(`account-key:${one.id}`, `account-key:${other.id}`);
    await assert.rejects(open().find(other.id), /its key is of another key ring or account/);
    assert.match(JSON.stringify(await annSees(other.id)), /its key is of another/);
    assert.deepEqual((await open().list()).accounts, [one]);
  });

  it('Another key ring does not open a sealed account', async () => {
    const { id } = await created(ann);
    const stranger = open(sealingOf(2, 2, 2, Buffer.alloc(32, 8).toString('base64url')));
    await assert.rejects(stranger.find(id), { name: 'AccountUnreadable' });
    assert.equal(await stranger.findByEmail(ann.email), undefined);
    const failing = open({ ...SEALED, keys: () => Promise.reject(new Error('the master key is another')) });
    await assert.rejects(failing.find(id), /the master key is another/);
    await assert.rejects(failing.findByEmail(ann.email), /the master key is another/);
  });

  it('A search by address refuses an account that has another address', async () => {
    const [one, other] = [await created(ann), await created(bob)];
    const claims = (await dumped()).match(/account-email:[\w-]{43}/g) ?? [];
    assert.equal(claims.length, 2);
    for (const claim of claims) await place.store.set(claim, { account: one.id });
    await assert.rejects(open().findByEmail(bob.email), /another address leads to it/);
    assert.deepEqual(await open().findByEmail(ann.email), one);
    assert.equal(other.email, bob.email);
  });

  it('The error names the missing key of a sealed account, and the account can be removed', async () => {
    const [one, other] = [await created(ann), await created(bob)];
    await place.store.delete(`account-key:${one.id}`);
    const accounts = open();
    await assert.rejects(accounts.find(one.id), new RegExp(`its key account-key:${one.id} is missing`));
    assert.deepEqual((await accounts.list()).accounts, [other]);
    assert.equal(await accounts.remove(one.id), true);
    assert.ok((await accounts.create(ann)) !== 'email-taken');
  });

  it('Every node finds a sealed account after a node without its key in memory changed the roles', async () => {
    const { id } = await created(ann);
    assert.deepEqual((await open().setRoles(id, ['admin']))?.roles, ['admin']);
    assert.deepEqual((await open().disable(id))?.email, ann.email);
    assert.equal((await open().enable(id))?.disabledAt, undefined);
  });

  it('A node that has an account’s key in memory does not read the key record', async () => {
    const { id } = await created(ann);
    let reads = 0;
    const counting = new Proxy(place.store, {
      get(target, name): unknown {
        const member: unknown = Reflect.get(target, name);
        if (name !== 'getMany' || typeof member !== 'function') return member;
        return (keys: string[]): unknown => {
          reads += keys.length;
          return Reflect.apply(member, target, [keys]);
        };
      },
    });
    const accounts = open(SEALED, counting);
    await accounts.find(id);
    assert.equal(reads, 2);
    await accounts.find(id);
    assert.equal(reads, 3);
  });

  describe('Removal of a sealed account', () => {
    it('The removal of a sealed account deletes its key and data before anything else', async () => {
      const { id } = await created(ann);
      const backup: string[] = [];
      for await (const items of place.store.dump()) backup.push(JSON.stringify(items));
      await open().erase(id);
      assert.ok(!(await dumped()).includes(`account-key:${id}`));
      assert.equal(await open().find(id), undefined);
      assert.equal(await open().findByEmail(ann.email), undefined);
      assert.deepEqual((await open().list()).unreadable, [{ id }]);
      assert.equal(await open().exists(id), true);
      assert.equal(await open().remove(id), true);
      assert.equal(await dumped(), '');
      assert.ok(backup.join('').includes(id));
    });

    it('A repeated account removal frees the address, wherever a crash interrupted the first one', async () => {
      for (const [turn, sealing] of [SEALED, sealingOf(1, 2, 2)].entries()) {
        for (const writes of [0, 1, 2, 3, 4]) {
          const person = { ...ann, email: `crash-${turn}-${writes}@example.com` };
          const { id } = await created(person, sealing);
          const dying = open(sealing, dyingStore(place.store, writes));
          await dying.remove(id).catch(() => undefined);
          await open(sealing).remove(id);
          assert.equal(await open(sealing).exists(id), false);
          assert.ok((await open(sealing).create(person)) !== 'email-taken', `${writes} writes`);
        }
      }
    });
  });
});
