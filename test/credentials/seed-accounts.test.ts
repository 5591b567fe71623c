import assert from 'node:assert/strict';
import { type Accounts, openAccounts } from '../../src/accounts/accounts.ts';
import { type Credentials, openCredentials } from '../../src/credentials/credentials.ts';
import { Secret } from '../../src/config/secret.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { keyspace } from '../../src/storage/store.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { sealingOf } from '../accounts/forms.ts';
import { openCredentialServices } from './credential-services.ts';

const ANN = { email: 'ann@example.com', name: 'Ann', password: new Secret('correct horse battery'), roles: ['user'] };

describe('Accounts from the configuration', () => {
  let place: TemporaryStore;
  beforeEach(() => {
    place = temporaryStore();
  });
  afterEach(() => place.remove());

  function credentialsOf(accounts: Accounts): Credentials {
    const { passwords } = openCredentialServices(place.store, place.clock);
    return openCredentials({
      config: {
        passwords: { min_length: 15, argon2: { memory_kib: 64, passes: 2, parallelism: 1 } },
        sign_up: { enabled: true, roles: [] },
        branding: { name: 'Latchkey' },
      },
      accounts,
      passwords,
      grants: place.store,
      clock: place.clock,
      random: systemRandom,
      deviceKey: Buffer.alloc(32),
      attemptKey: Buffer.alloc(32),
    });
  }

  async function start(isVerified: boolean) {
    const { accounts } = openCredentialServices(place.store, place.clock);
    await credentialsOf(accounts).makeSeedAccounts([{ ...ANN, email_verified: isVerified }], assert.ifError);
    const account = await accounts.findByEmail(ANN.email);
    return [account?.origin, account?.emailVerified?.by];
  }

  it('An account of the configuration that cannot be read is skipped, and the others are made', async () => {
    const sealing = sealingOf(2, 2, 2);
    const open = () => openAccounts({ records: place.store, clock: place.clock, random: systemRandom, sealing });
    const made = await open().create({ ...ANN, origin: 'configuration' });
    assert.ok(made !== 'email-taken');
    await place.store.delete(keyspace('account-key')(made.id));
    const skipped: string[] = [];
    const accounts = open();
    const seeds = [ANN, { ...ANN, email: 'bob@example.com' }].map((seed) => ({ ...seed, email_verified: false }));
    await credentialsOf(accounts).makeSeedAccounts(seeds, ({ account }) => skipped.push(account));
    assert.deepEqual(skipped, [made.id]);
    assert.equal((await accounts.findByEmail('bob@example.com'))?.origin, 'configuration');
  });

  it('The configuration marks an account’s address as verified, even at a later start', async () => {
    assert.deepEqual(await start(false), ['configuration', undefined]);
    assert.deepEqual(await start(true), ['configuration', 'configuration']);
    assert.deepEqual(await start(false), ['configuration', 'configuration']);
  });

  it('The configuration does not mark the address of an account that a stranger signed up', async () => {
    const { accounts } = openCredentialServices(place.store, place.clock);
    await accounts.create({ ...ANN, origin: 'sign-up' });
    assert.deepEqual(await start(true), ['sign-up', undefined]);
  });

  it('An account of unknown origin from an earlier version belongs to the configuration', async () => {
    const { accounts } = openCredentialServices(place.store, place.clock);
    const made = await accounts.create({ ...ANN, origin: 'configuration' });
    assert.ok(made !== 'email-taken');
    const { origin: _, ...old } = made;
    await place.store.set(keyspace('account')(made.id), old, { indexes: ['accounts'] });
    assert.deepEqual(await start(true), ['configuration', 'configuration']);
  });
});
