import assert from 'node:assert/strict';
import { openAccounts } from '../../src/accounts/accounts.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { AccountId } from '../../src/lib/ids.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { ADMIN } from '../support/flows.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { sessionsOfAccount } from '../../src/oidc/storage/session-records.ts';
import { ALL, NOTHING, SESSION_ALONE, World, type Holding } from './world.ts';

for (const backend of serverStores) {
  describe(`Taking back on ${backend.name}`, () => {
    let world: World;
    let here: Holding;
    let elsewhere: Holding;
    let stranger: Holding;
    let account: AccountId;

    before(async () => {
      world = await World.start(backend);
      account = (await world.accountOf()) as AccountId;
    });
    after(() => world.stop());
    beforeEach(async () => {
      here = await world.holding();
      elsewhere = await world.holding();
      stranger = await world.holding({ person: ADMIN });
      assert.deepEqual(await world.left(here), ALL);
    });

    /** Of the person's sessions, the one in which a token was given. */
    async function sessionOf({ tokens, client }: Holding): Promise<string> {
      const { sid } = JSON.parse(atob(tokens['id_token']?.split('.')[1] ?? '')) as { sid: string };
      const { keys } = await world.stores.grants.members(sessionsOfAccount(account));
      for (const [index, stored] of (await world.stores.grants.getMany(keys)).entries())
        if (stored?.value.authorizations?.[client]?.sid === sid) return (keys[index] ?? '').slice('session:'.length);
      throw new Error('no such session');
    }

    it('a session that its owner ends from another place ends with its apps, and no other', async () => {
      await world.endings.endSession(await sessionOf(here));
      assert.deepEqual(await world.left(here), NOTHING);
      assert.deepEqual(await world.left(elsewhere), ALL);
    });

    it('a changed password ends what every app has, and every session but the one in which it was changed', async () => {
      await world.endings.credentialsChanged(account, 'password-changed', await sessionOf(here));
      assert.deepEqual(await world.left(here), SESSION_ALONE);
      assert.deepEqual(await world.left(elsewhere), NOTHING);
      assert.deepEqual(await world.left(stranger), ALL);
      assert.deepEqual(await world.left(await world.holding()), ALL);
    });

    it('a factor that is changed elsewhere ends every session', async () => {
      await world.endings.credentialsChanged(account, 'factor-changed');
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
      assert.deepEqual(await world.left(stranger), ALL);
    });

    it('consent that is withdrawn ends one app, everywhere, and not the session', async () => {
      const other = await world.holding({ browser: here.browser, client: 'demo-photos' });
      await world.endings.withdrawConsent(account, here.client);
      assert.deepEqual(await world.left(here), SESSION_ALONE);
      assert.deepEqual(await world.left(elsewhere), SESSION_ALONE);
      assert.deepEqual(await world.left(other), ALL);
      assert.deepEqual(await world.left(stranger), ALL);
    });

    it('a disabled account ends with all that it had', async () => {
      const accounts = openAccounts({ records: world.stores.records, clock: systemClock, random: systemRandom });
      try {
        assert.ok(await world.endings.disableAccount(account));
        for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
        assert.deepEqual(await world.left(stranger), ALL);
      } finally {
        await accounts.enable(account);
      }
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
      assert.deepEqual(await world.left(await world.holding()), ALL);
    });
  });
}
