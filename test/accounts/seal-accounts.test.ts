import assert from 'node:assert/strict';
import type { Account } from '../../src/accounts/account.ts';
import { openAccounts, type Accounts } from '../../src/accounts/accounts.ts';
import { UPGRADES } from '../../src/domain/upgrades.ts';
import type { Domain } from '../../src/domain/domain.ts';
import { sha256 } from '../../src/lib/hash.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { dyingStore, type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { sealingOf } from './forms.ts';

const [BEFORE, DURING, AFTER] = [undefined, sealingOf(1, 2, 2), sealingOf(2, 2, 2)];

describe('The upgrade that seals accounts', () => {
  let place: TemporaryStore;
  let made: Account[];
  const open = (sealing: typeof BEFORE | typeof AFTER, records: Store = place.store) =>
    openAccounts({ records, clock: place.clock, random: systemRandom, sealing });

  beforeEach(async () => {
    place = temporaryStore();
    made = [];
    for (let turn = 0; turn < 230; turn += 1) {
      const person = {
        email: `person${turn}@example.com`,
        name: `Quentin ${turn}`,
        roles: [],
        origin: 'sign-up' as const,
      };
      const account = await open(BEFORE).create(person);
      assert.ok(account !== 'email-taken');
      made.push(account);
      place.clock.advance(1);
    }
  });
  afterEach(() => place.remove());

  /** Runs the step of the product. @param after where an interrupted run stopped @returns its positions */
  async function upgrade(accounts: Accounts, after?: string, told: (position: string) => void = () => undefined) {
    const step = UPGRADES.find(({ to }) => to === 2);
    assert.ok(step !== undefined);
    for await (const { position } of step.convert({ accounts } as Domain, after)) told(position);
  }

  async function assertSealed(expected: readonly Account[]): Promise<void> {
    const accounts = open(AFTER);
    assert.deepEqual((await accounts.list({ limit: 1000 })).accounts, expected);
    for (const account of expected.slice(0, 5)) assert.deepEqual(await accounts.findByEmail(account.email), account);
    assert.equal((await accounts.search('quentin', { limit: 1000 })).accounts.length, expected.length);
    let text = '';
    for await (const items of place.store.dump()) text += JSON.stringify(items);
    for (const word of ['Quentin', 'person', 'example', sha256('person0@example.com')])
      assert.ok(!text.includes(word), word);
  }

  it('The upgrade seals every account, and leaves nothing in the old form', async () => {
    await upgrade(open(DURING));
    await assertSealed(made);
  });

  it('The upgrade keeps the links from subjects of trusted issuers, under keyed hashes', async () => {
    const subjects = ['the hash of one', 'the hash of two'];
    for (const [turn, subject] of subjects.entries())
      await open(BEFORE).links.set(subject, made[turn]?.id ?? assert.fail());
    assert.equal(await open(DURING).links.find(subjects[0] ?? ''), made[0]?.id);
    await open(DURING).links.set('the hash of three', made[2]?.id ?? assert.fail());
    await upgrade(open(DURING));
    await upgrade(open(DURING), 'links');
    const found = ['the hash of one', 'the hash of two', 'the hash of three'].map((subject) =>
      open(AFTER).links.find(subject),
    );
    assert.deepEqual(
      await Promise.all(found),
      made.slice(0, 3).map(({ id }) => id),
    );
    assert.equal(await open(AFTER).links.find('the hash of four'), undefined);
    let text = '';
    for await (const items of place.store.dump()) text += JSON.stringify(items);
    assert.ok(!text.includes('the hash of'));
  });

  it('A repeated upgrade changes nothing', async () => {
    await upgrade(open(DURING));
    await upgrade(open(DURING));
    await assertSealed(made);
  });

  it('An interrupted upgrade continues, whichever write was the last', async () => {
    for (const writes of [0, 1, 2, 3, 5, 50, 101, 333]) {
      let position: string | undefined;
      const dying = open(DURING, dyingStore(place.store, writes));
      await upgrade(dying, position, (reached) => (position = reached)).catch(() => undefined);
      const accounts = open(DURING);
      for (const { email, id } of made.slice(0, 3)) assert.equal((await accounts.findByEmail(email))?.id, id);
      assert.equal((await accounts.list({ limit: 1000 })).accounts.length, made.length);
    }
    await upgrade(open(DURING));
    await assertSealed(made);
  });

  it('The upgrade loses no simultaneous change, and revives no account that is removed meanwhile', async () => {
    const [changed, removed] = [made.slice(0, 60), made.slice(60, 120)];
    const accounts = open(DURING);
    await Promise.all([
      upgrade(open(DURING, place.again())),
      ...changed.map(({ id }) => accounts.setRoles(id, ['admin'])),
      ...removed.map(({ id }) => accounts.remove(id)),
    ]);
    await upgrade(open(DURING));
    for (const { id } of changed) assert.deepEqual((await open(AFTER).find(id))?.roles, ['admin']);
    for (const { id, email, name } of removed) {
      assert.equal(await open(AFTER).find(id), undefined);
      const again = { email, name, roles: [], origin: 'sign-up' as const };
      assert.ok((await open(AFTER).create(again)) !== 'email-taken', email);
    }
  });

  it('An address belongs to one account while nodes write either form', async () => {
    const [old, young] = [open(sealingOf(1, 1, 2)), open(DURING, place.again())];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, turn) => {
        const person = { email: 'new@example.com', name: `New ${turn}`, roles: [], origin: 'sign-up' as const };
        return (turn % 2 === 0 ? old : young).create(person);
      }),
    );
    assert.ok(answers.filter((answer) => answer !== 'email-taken').length <= 1);
    const found = await open(DURING).findByEmail('new@example.com');
    assert.equal(found?.id, answers.find((answer) => answer !== 'email-taken')?.id);
  });
});
