import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TooBusy } from '../../src/limits/semaphore.ts';
import { OPERATOR } from '../../src/limits/lane.ts';
import { openPasswords, type Passwords } from '../../src/credentials/passwords.ts';
import { type AccountId, newId } from '../../src/lib/ids.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { keyspace, type Store } from '../../src/storage/store.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { countHashes } from './count-hashes.ts';
import { hashWork } from './hash-work.ts';

const cheap = { memory_kib: 1024, passes: 2, parallelism: 1 };
/** Of a password that nobody knows. */
const OLD_HASH = '$argon2id$v=19$m=256,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const passwordKey = keyspace<{ hash: string }>('password');

describe('Passwords', () => {
  let place: TemporaryStore;
  const open = (argon2 = cheap, records: Store = place.store) =>
    byOperator(
      openPasswords({ records, clock: place.clock, random: systemRandom, argon2, minLength: 15, service: 'Latchkey' }),
    );
  const newAccount = () => newId<'account'>('acc', place.clock, systemRandom);
  const storedHash = async (account: string) => (await place.store.get(passwordKey(account)))?.value.hash ?? '';

  beforeEach(() => {
    place = temporaryStore();
  });
  afterEach(() => place.remove());

  it('A password is right only for its own account', async () => {
    const [ann, bob] = [newAccount(), newAccount()];
    await open().set(ann, 'correct horse battery');
    await open().set(bob, 'another one entirely');
    assert.equal(await open().verify(ann, 'correct horse battery'), 'right');
    assert.equal(await open().verify(bob, 'correct horse battery'), 'wrong');
    assert.equal(await open().verify(undefined, 'correct horse battery'), 'wrong');
  });

  it('A password is stored as an argon2id hash with the configured parameters and its own salt', async () => {
    const [ann, bob] = [newAccount(), newAccount()];
    await open().set(ann, 'correct horse battery');
    await open().set(bob, 'correct horse battery');
    assert.match(await storedHash(ann), /^\$argon2id\$v=19\$m=1024,p=1,t=2\$/);
    assert.notEqual(await storedHash(ann), await storedHash(bob));
  });

  it('A password is wrong once it has been replaced or removed', async () => {
    const ann = newAccount();
    await open().set(ann, 'correct horse battery');
    await open().set(ann, 'a newer password here');
    assert.equal(await open().verify(ann, 'correct horse battery'), 'wrong');
    await open().remove(ann);
    assert.equal(await open().verify(ann, 'a newer password here'), 'wrong');
  });

  it('A password matches in every Unicode form and is otherwise compared exactly', async () => {
    const ann = newAccount();
    await open().set(ann, ' Cafe\u0301 \uFB01nder 2 ');
    assert.equal(await open().verify(ann, ' Caf\u00E9 finder 2 '), 'right');
    for (const other of ['Café finder 2', ' café finder 2 ', ' Cafe finder 2 ', ' Café finder 2 \u0000']) {
      assert.equal(await open().verify(ann, other), 'wrong', JSON.stringify(other));
    }
  });

  it('Every character of a password counts', async () => {
    const ann = newAccount();
    await open().set(ann, `${'x'.repeat(255)}y`);
    assert.equal(await open().verify(ann, `${'x'.repeat(255)}z`), 'wrong');
    assert.equal(await open().verify(ann, 'x'.repeat(255)), 'wrong');
    assert.equal(await open().verify(ann, `${'x'.repeat(255)}y`), 'right');
  });

  it('A password check takes one hash for an account with a password, without one and for an unknown account', async () => {
    const [ann, bare] = [newAccount(), newAccount()];
    await open().set(ann, 'correct horse battery');
    for (const account of [ann, bare, undefined]) {
      const { hashes } = await countHashes(() => open().verify(account, 'a wrong password'));
      assert.equal(hashes, 1);
    }
  });

  it('A password check for an unknown account uses the configured parameters', async () => {
    assert.deepEqual(await hashWork(() => open({ ...cheap, passes: 5 }).verify(undefined, 'a wrong password')), [
      'm=1024,t=5,p=1',
    ]);
  });

  it('A password check of an oversized password takes no hash, whatever the account', async () => {
    const ann = newAccount();
    await open().set(ann, 'correct horse battery');
    for (const account of [ann, undefined]) {
      const { hashes } = await countHashes(() => open().verify(account, 'x'.repeat(257)));
      assert.equal(hashes, 0);
    }
  });

  describe('Stronger hash parameters', () => {
    const stronger = { ...cheap, passes: 3 };

    it('The next right sign-in replaces a weak password hash once', async () => {
      const ann = newAccount();
      await open().set(ann, 'correct horse battery');
      assert.equal(await open(stronger).verify(ann, 'a wrong password'), 'wrong');
      assert.match(await storedHash(ann), /t=2/);
      assert.equal(await open(stronger).verify(ann, 'correct horse battery'), 'right');
      assert.match(await storedHash(ann), /t=3/);
      const before = await storedHash(ann);
      assert.equal(await open(stronger).verify(ann, 'correct horse battery'), 'right');
      assert.equal(await storedHash(ann), before);
      assert.equal(await open(stronger).verify(ann, 'a wrong password'), 'wrong');
    });

    it('A password check takes the same work for old, new, missing and unknown accounts, right or wrong', async () => {
      const [old, returned, fresh, bare] = [newAccount(), newAccount(), newAccount(), newAccount()];
      for (const account of [old, returned]) await open().set(account, 'correct horse battery');
      const passwords = open(stronger);
      await passwords.set(fresh, 'correct horse battery');
      const both = ['m=1024,t=2,p=1', 'm=1024,t=3,p=1'];
      for (const account of [undefined, old, fresh, bare, undefined])
        assert.deepEqual(await hashWork(() => passwords.verify(account, 'a wrong password')), both);
      for (const account of [returned, returned, fresh])
        assert.deepEqual(await hashWork(() => passwords.verify(account, 'correct horse battery')), both);
    });

    it('The server learns the parameters of hashes that an earlier version stored', async () => {
      const ann = newAccount();
      await place.store.set(passwordKey(ann), { hash: OLD_HASH });
      const passwords = open(stronger);
      await passwords.learnCosts([newAccount(), ann], false);
      assert.deepEqual(await hashWork(() => passwords.verify(undefined, 'a wrong password')), [
        'm=1024,t=3,p=1',
        'm=256,t=2,p=1',
      ]);
    });

    it('The next start forgets hash parameters that no hash uses any more', async () => {
      const [ann, kim] = [newAccount(), newAccount()];
      for (const account of [ann, kim]) await open(stronger).set(account, 'correct horse battery');
      const costs = async (): Promise<unknown> => {
        const passwords = open(cheap, place.again());
        await passwords.learnCosts([ann, kim], true);
        return hashWork(() => passwords.verify(undefined, 'a wrong password'));
      };
      await open().set(ann, 'correct horse battery');
      assert.deepEqual(await costs(), ['m=1024,t=2,p=1', 'm=1024,t=3,p=1']);
      await open().set(kim, 'correct horse battery');
      assert.deepEqual(await costs(), ['m=1024,t=2,p=1']);
    });

    it('Other nodes learn new hash parameters within a minute', async () => {
      const other = open();
      await other.verify(undefined, 'a wrong password');
      await open(stronger, place.again()).set(newAccount(), 'correct horse battery');
      place.clock.advance(60);
      const both = ['m=1024,t=2,p=1', 'm=1024,t=3,p=1'];
      assert.deepEqual(await hashWork(() => other.verify(undefined, 'a wrong password')), both);
    });

    it('A password hash is never replaced by a weaker one', async () => {
      const ann = newAccount();
      await open(stronger).set(ann, 'correct horse battery');
      assert.equal(await open({ ...cheap, memory_kib: 512 }).verify(ann, 'correct horse battery'), 'right');
      assert.match(await storedHash(ann), /m=1024,p=1,t=3/);
    });

    it('A hash replacement does not restore a password that was changed meanwhile', async () => {
      const ann = newAccount();
      await open().set(ann, 'correct horse battery');
      const changing = withWriteBeforeReplace(place.store, () => open().set(ann, 'a newer password here'));
      assert.equal(await open(stronger, changing).verify(ann, 'correct horse battery'), 'right');
      assert.equal(await open().verify(ann, 'correct horse battery'), 'wrong');
      assert.equal(await open().verify(ann, 'a newer password here'), 'right');
    });
  });

  it('The server computes two password hashes at a time and reports TooBusy beyond its queue', async () => {
    const passwords = open();
    const account = newAccount();
    await passwords.set(account, 'correct horse battery');
    const answers: string[] = [];
    const callers = Array.from({ length: 100 }, (_, turn) => ({ block: `10.0.0.${turn}`, isKnown: turn % 2 === 0 }));
    const { atOnce, hashes } = await countHashes(() =>
      Promise.all(
        Array.from({ length: 100 }, (_, turn) =>
          passwords.verify(account, 'correct horse battery', callers[turn]).then(
            (verdict) => answers.push(verdict),
            (error: unknown) => answers.push(error instanceof TooBusy ? 'too busy' : 'failed'),
          ),
        ),
      ),
    );
    assert.equal(atOnce, 2);
    passwords.close();
    // Some of a crowd are made in the background.
    assert.ok(hashes >= 34 && hashes <= 82, String(hashes));
    // 32 of known devices and 48 of others wait, beside one of each that runs.
    assert.equal(answers.filter((answer) => answer === 'right').length, 82);
    assert.equal(answers.filter((answer) => answer === 'too busy').length, 18);
  });

  it('The password rules and the verification accept arbitrary text without throwing', async () => {
    const passwords = open();
    const ann = newAccount();
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(text, text, async (password, other) => {
        await passwords.problem(password, { email: other, name: other }, OPERATOR);
        await passwords.set(ann, password);
        assert.equal(await passwords.verify(ann, password), 'right');
        const same = other.normalize('NFKC').toWellFormed() === password.normalize('NFKC').toWellFormed();
        assert.equal(await passwords.verify(ann, other), same ? 'right' : 'wrong');
      }),
    );
  });
});

function byOperator(passwords: Passwords) {
  return {
    ...passwords,
    set: (account: AccountId, password: string) => passwords.set(account, password, OPERATOR),
    verify: (account: AccountId | undefined, password: string, caller = OPERATOR) =>
      passwords.verify(account, password, caller),
  };
}

/** Lets another writer in between the reading of a record and its replacement. */
function withWriteBeforeReplace(store: Store, write: () => Promise<void>): Store {
  return new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return async (...given: unknown[]): Promise<unknown> => {
        if (name === 'replace') await write();
        return Reflect.apply(member, target, given);
      };
    },
  });
}
