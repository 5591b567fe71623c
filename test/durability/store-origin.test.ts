import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAccounts } from '../../src/accounts/accounts.ts';
import { OPERATOR } from '../../src/limits/lane.ts';
import { passwordsFor } from '../../src/credentials/passwords.ts';
import { register } from '../../src/credentials/sign-up.ts';
import { startServer } from '../../src/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { NEWEST_FORMAT } from '../../src/storage/format.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import type { Store } from '../../src/storage/store.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { besides, command } from '../support/command.ts';
import { accountsOn } from '../support/domain.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { ALICE, tokensFor } from '../support/flows.ts';

const DEMO =
  /^ForeignStore: the store .* was created by the demo, whose password everybody knows, so a configured server does not open it\. Name another store in stores or LATCHKEY_STORE$/;
const UNMARKED =
  /has a demo account \(alice@example\.com or admin@example\.com\), .* remove those accounts with "latchkey accounts remove ACCOUNT"/;
const CONFIGURED =
  /^ForeignStore: the store .* was created by a configured server, .* Name the configuration with --config FILE, or unset LATCHKEY_STORE/;

for (const backend of serverStores) {
  describe(`The origin of a store on ${backend.name}`, () => {
    let store: RunningBackend;
    let made: TestServer | undefined;

    beforeEach(async () => {
      store = await backend.start();
    });
    afterEach(async () => {
      await made?.close();
      made = undefined;
      await store.stop();
    });

    /** Makes the store by a start of the demo, or of a server with a configuration. */
    async function make(isDemo: boolean, newest = NEWEST_FORMAT): Promise<void> {
      const accounts = isDemo ? {} : { accounts: [] };
      made = await startTestServer({
        store: store.url,
        change: (config) => ({ ...config, ...accounts, isDemo }),
        openStores: (settings, clock, options) => openStores(settings, clock, { ...options, newest }),
      });
    }

    /** Starts a server of one kind on the store. @throws as the server does */
    async function start(isDemo: boolean): Promise<void> {
      const { config } = made ?? assert.fail('nobody made the store');
      const listen = { ...config.listen, port: 0 };
      const server = await startServer({ config: { ...config, listen, accounts: [], isDemo } });
      await server.close();
    }

    async function inTheStore<T>(work: (records: Store) => Promise<T>): Promise<T> {
      const stores = await openStores({ grants: store.url });
      return work(stores.records).finally(() => stores.close());
    }

    const unmark = () =>
      inTheStore(async (records) => {
        for (const key of ['store-origin:main', 'store-format:main']) await records.delete(key);
      });

    it('A configured server does not open the demo’s store, and the demo can still open it', async () => {
      await make(true);
      await assert.rejects(start(false), DEMO);
      await start(true);
    });

    it('The demo does not open a configured server’s store, and that server can still open it', async () => {
      await make(false);
      await assert.rejects(start(true), CONFIGURED);
      await start(false);
    });

    it('A store without a mark, from an earlier version, belongs to a configured server', async () => {
      await make(false);
      await unmark();
      await assert.rejects(start(true), CONFIGURED);
      await start(false);
      assert.deepEqual((await inTheStore((records) => records.get('store-origin:main')))?.value, {
        maker: 'configured',
      });
    });

    it('A store without a mark belongs to the demo while an account has the demo’s password', async () => {
      await make(true, 1);
      await unmark();
      await assert.rejects(start(false), UNMARKED);
      await inTheStore(async (records) => {
        const accounts = openAccounts({ records, clock: systemClock, random: systemRandom });
        for (const { id } of (await accounts.list()).accounts) await accounts.remove(id);
      });
      await start(false);
      await assert.rejects(start(true), CONFIGURED);
    });

    it('A store of the demo without a mark is not upgraded for a configured server', async () => {
      await make(true, 1);
      await unmark();
      const { directory, issuer } = made ?? assert.fail('nobody made the store');
      const file = join(directory, 'configured.yaml');
      await writeFile(file, `issuer: ${issuer}\n`);
      const upgrade = await command(['store', 'upgrade', '--yes', '--config', file], {
        environment: besides({ directory, issuer, store: store.url }),
      });
      assert.deepEqual([upgrade.code, UNMARKED.test(upgrade.err)], [1, true], upgrade.err);
      assert.equal(await inTheStore((records) => records.get('store-format:main')), undefined);
    });

    it('Concurrent first starts agree on the origin of the store', async () => {
      await make(true, 1);
      await inTheStore(async (records) => {
        for (const key of ['store-origin:main', 'store-format:main', 'key-ring:main', 'store-marker:main'])
          await records.delete(key);
        const accounts = openAccounts({ records, clock: systemClock, random: systemRandom });
        for (const { id } of (await accounts.list()).accounts) await accounts.remove(id);
      });
      const kinds = [true, false, true, false];
      const ended = await Promise.allSettled(kinds.map((isDemo) => start(isDemo)));
      const winners = new Set(kinds.filter((_, index) => ended[index]?.status === 'fulfilled'));
      assert.equal(winners.size, 1);
    });
  });
}

describe('Accounts with the demo’s password', () => {
  it('A configured server refuses the demo’s password', async () => {
    await using server = await startTestServer({ change: (config) => ({ ...config, accounts: [], isDemo: false }) });
    const stores = await openStores(server.config.stores, systemClock);
    try {
      const parts = { records: stores.records, clock: systemClock, random: systemRandom };
      // Of an earlier version, which checked nothing.
      const passwords = passwordsFor({ ...server.config, isDemo: true }, parts);
      const account = { email: ALICE.email, name: 'Alice', roles: [], origin: 'operator' as const };
      await register(
        { accounts: accountsOn(stores.records, server.directory), passwords },
        { ...account, password: ALICE.password },
        OPERATOR,
      );
      passwords.close();
      await assert.rejects(tokensFor(server.issuer), /did not come back/);
    } finally {
      await stores.close();
    }
  });

  it('A configuration cannot create an account with the demo’s password', async () => {
    await assert.rejects(
      startTestServer({ change: (config) => ({ ...config, isDemo: false }) }),
      /accounts\[0\]\.password: cannot be used for alice@example\.com\. This is the password of the Latchkey demo/,
    );
  });
});
