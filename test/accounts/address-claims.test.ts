import assert from 'node:assert/strict';
import type { Account } from '../../src/accounts/account.ts';
import { plainClaim } from '../../src/accounts/sealing.ts';
import { openAccounts, type Accounts } from '../../src/accounts/accounts.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { type Store, StoreUnavailable } from '../../src/storage/store.ts';
import { dyingStore, interruptedStore, type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { FORMS, sealingOf } from './forms.ts';

const [BEFORE, DURING, AFTER] = [undefined, sealingOf(1, 2, 2), sealingOf(2, 2, 2)];
const EMAIL = 'ann@example.com';
const PLAIN = `account-email:${plainClaim(EMAIL)}`;
const person = (name: string) => ({ email: EMAIL, name, roles: [], origin: 'sign-up' as const });

describe('The claim on an address', () => {
  let place: TemporaryStore;
  let ann: Account;
  const open = (sealing: typeof BEFORE | typeof AFTER, records: Store = place.store) =>
    openAccounts({ records, clock: place.clock, random: systemRandom, sealing });

  beforeEach(async () => {
    place = temporaryStore();
    ann = await created(open(BEFORE));
    place.clock.advance(60_000);
  });
  afterEach(() => place.remove());

  async function created(accounts: Accounts): Promise<Account> {
    const account = await accounts.create(person('Ann'));
    assert.ok(account !== 'email-taken');
    return account;
  }

  const convert = () => open(DURING, place.again()).seal({ limit: 100 });

  async function assertAnnsAddress(): Promise<void> {
    for (const sealing of [DURING, AFTER]) {
      assert.equal((await open(sealing).findByEmail(EMAIL))?.id, ann.id);
      assert.equal(await open(sealing).create(person('Stranger')), 'email-taken');
    }
    assert.deepEqual((await open(AFTER).list()).accounts, [ann]);
  }

  it('A sign-up that looks at the old claim after the conversion has deleted it does not get the address', async () => {
    let isConverted = false;
    const slow = interruptedStore(place.store, async (name, key) => {
      if (name !== 'get' || key !== PLAIN || isConverted) return;
      isConverted = true;
      await convert();
    });
    assert.equal(await open(DURING, slow).create(person('Stranger')), 'email-taken');
    assert.ok(isConverted);
    await assertAnnsAddress();
  });

  it('A sign-up that gives up its claim after the conversion has run does not free the address', async () => {
    let isConverted = false;
    const slow = interruptedStore(place.store, async (name, key) => {
      const isClaim = String(key).startsWith('account-email:') && key !== PLAIN;
      if (!['delete', 'replace'].includes(name) || !isClaim || isConverted) return;
      isConverted = true;
      await convert();
    });
    assert.equal(await open(DURING, slow).create(person('Stranger')), 'email-taken');
    assert.ok(isConverted);
    await assertAnnsAddress();
  });

  it('An address leads to the older account after a sign-up died between its claim and the look at the old one', async () => {
    // The sign-up writes the key, the record and the claim, and dies before it undoes them.
    await assert.rejects(open(DURING, dyingStore(place.store, 3)).create(person('Stranger')), StoreUnavailable);
    assert.equal((await open(DURING).findByEmail(EMAIL))?.id, ann.id);
    await convert();
    await assertAnnsAddress();
  });

  it('A sign-up undoes its claim if the store fails to show the old one', async () => {
    let failures = 0;
    const failing = interruptedStore(place.store, (name, key) => {
      if (name === 'get' && key === PLAIN && (failures += 1) === 1) throw new StoreUnavailable('no answer');
    });
    await assert.rejects(open(DURING, failing).create(person('Stranger')), /no answer/);
    const claims = [];
    for await (const items of place.store.dump())
      claims.push(...items.filter(({ key }) => key.startsWith('account-email:')));
    assert.deepEqual(
      claims.map(({ key }) => key),
      [PLAIN],
    );
    assert.equal((await open(DURING).ids()).ids.length, 1);
  });

  it('An account is created in the new form if the format of the store changes meanwhile', async () => {
    await open(BEFORE).remove(ann.id);
    let sealing = sealingOf(1, 1, 1);
    const slow = interruptedStore(place.store, (name, key) => {
      if (name === 'create' && key === PLAIN) sealing = AFTER;
    });
    const accounts = open({ formats: () => sealing.formats(), keys: () => sealing.keys() }, slow);
    ann = await created(accounts);
    await assertAnnsAddress();
    assert.equal(await place.store.get(PLAIN), undefined);
  });

  it('The conversion keeps the plain data of an account whose new key or claim the store has lost', async () => {
    const lost: string[] = [];
    const losing = new Proxy(place.store, {
      get(target, name): unknown {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== 'function') return member;
        return (...given: unknown[]): unknown => {
          const kind = String(given[0]).replace(/:.*/, '');
          if (name !== 'create' || !['account-key', 'account-email'].includes(kind) || lost.includes(kind))
            return Reflect.apply(member, target, given);
          lost.push(kind);
          return Promise.resolve(true);
        };
      },
    });
    await open(DURING, losing).seal({ limit: 100 });
    assert.deepEqual(lost.toSorted(), ['account-email', 'account-key']);
    await assertAnnsAddress();
  });

  for (const [form, sealing] of Object.entries(FORMS)) {
    it(`An address whose account record is gone can be claimed again, in a store ${form}`, async () => {
      await open(BEFORE).remove(ann.id);
      const { id } = await created(open(sealing));
      await place.store.delete(`account:${id}`);
      assert.equal(await open(sealing).findByEmail(EMAIL), undefined);
      const again = await created(open(sealing));
      assert.deepEqual(await open(sealing).findByEmail(EMAIL), again);
      assert.equal(await open(sealing).create(person('Third')), 'email-taken');
    });
  }
});
