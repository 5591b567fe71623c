import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBackup } from '../../src/backup/backup-file.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Item } from '../../src/storage/store.ts';
import { command, type Ended } from '../support/command.ts';
import { makeStore } from '../support/made-store.ts';
import { WorkingDirectory } from './latchkey.ts';

const PASSPHRASE = 'correct horse battery staple';
const CONFIG = `issuer: http://localhost:3000
stores: { grants: 'sqlite:STORE' }
`;

describe('The keys of the accounts in a backup', function () {
  this.timeout(240_000);
  const directory = new WorkingDirectory();
  const file = (name: string): string => join(directory.path, name);
  let restores = 0;

  const run = (line: string, config = 'latchkey.yaml'): Promise<Ended> =>
    command([...line.split(' '), '--config', file(config)]);
  const backup = (name: string): Promise<Ended> => run(`store backup ${file(name)} --key-file ${file('backup.key')}`);

  async function succeeds(line: string): Promise<string> {
    const { code, out, err } = await run(line);
    assert.equal(code, 0, err);
    return out;
  }

  /** Restores into a new store. */
  async function restore(name: string, more = ''): Promise<Ended & { config: string; store: string }> {
    restores += 1;
    const [config, store] = [`restored-${restores}.yaml`, `restored-${restores}.db`];
    directory.write(config, CONFIG.replace('STORE', store));
    const line = `store restore ${file(name)} --key-file ${file('backup.key')} --yes${more}`;
    return { ...(await run(line, config)), config, store: `sqlite:${file(store)}` };
  }

  async function keysIn(url: string): Promise<string[]> {
    const store = await openStore(url, systemClock);
    const keys: string[] = [];
    for await (const batch of store.dump()) keys.push(...batch.map(({ key }) => key));
    await store.close();
    return keys;
  }

  async function itemsIn(name: string): Promise<Item[]> {
    const opened = await openBackup(file(name), PASSPHRASE);
    const items: Item[] = [];
    for await (const batch of opened.items()) items.push(...batch);
    opened.close();
    return items;
  }

  before(async () => {
    writeFileSync(file('backup.key'), `${PASSPHRASE}\n`, { mode: 0o600 });
    directory.write('latchkey.yaml', CONFIG.replace('STORE', 'store.db'));
    await makeStore(`sqlite:${file('store.db')}`, 'configured', file('keys'));
    for (const name of ['ann', 'bob']) await succeeds(`accounts add ${name}@example.com`);
    const { code, err } = await backup('old');
    assert.equal(code, 0, err);
  });
  after(() => directory.remove());

  it('A backup holds no key of an account, and the second file holds them all and nothing else', async () => {
    const kept = (await itemsIn('old')).map(({ key }) => key);
    const apart = (await itemsIn('old.keys')).map(({ key }) => key);
    assert.deepEqual(
      kept.filter((key) => key.startsWith('account-key:')),
      [],
    );
    const accounts = kept.filter((key) => key.startsWith('account:')).map((key) => key.slice('account:'.length));
    assert.equal(accounts.length, 2);
    assert.deepEqual(apart.toSorted(), accounts.map((id) => `account-key:${id}`).toSorted());
  });

  it('A restore needs the keys of the accounts, and opens both accounts with them', async () => {
    mkdirSync(file('aside'));
    renameSync(file('old.keys'), file('aside/old.keys'));
    const { code, err, store } = await restore('old');
    assert.deepEqual([code, err.includes('old.keys does not exist')], [1, true], err);
    assert.equal(existsSync(store.slice('sqlite:'.length)), false);
    renameSync(file('aside/old.keys'), file('old.keys'));
    const whole = await restore('old');
    assert.equal(whole.code, 0, whole.err);
    const { out } = await run('accounts list', whole.config);
    assert.match(out, /ann@example\.com[^]*bob@example\.com/);
  });

  it('An account that was erased after a backup is gone from it for an operator with only the newest keys', async () => {
    await succeeds('accounts remove bob@example.com --yes');
    await succeeds('accounts add eve@example.com');
    assert.equal((await backup('new')).code, 0);
    rmSync(file('old.keys'));
    const { code, out, err, config, store } = await restore('old', ` --account-keys ${file('new.keys')}`);
    assert.equal(code, 0, err);
    assert.match(out, /Removed 1 accounts, because they were erased after the backup/);
    const listed = (await run('accounts list', config)).out;
    assert.match(listed, /ann@example\.com/);
    assert.doesNotMatch(listed, /bob|eve/);
    const found = await keysIn(store);
    for (const kind of ['account', 'account-key', 'account-email'])
      assert.equal(found.filter((key) => key.startsWith(`${kind}:`)).length, 1, kind);
    const again = await run('accounts add bob@example.com', config);
    assert.equal(again.code, 0, again.err);
  });

  it('A restore refuses the keys of an earlier backup, a backup in their place, and keys in place of a backup', async () => {
    assert.equal((await backup('newest')).code, 0);
    const earlier = await restore('newest', ` --account-keys ${file('new.keys')}`);
    assert.deepEqual([earlier.code, earlier.err.includes('is of an earlier backup')], [1, true], earlier.err);
    assert.match(
      (await restore('newest', ` --account-keys ${file('newest')}`)).err,
      /does not hold the keys of accounts/,
    );
    assert.match((await restore('newest.keys')).err, /holds only the keys of accounts: name the backup/);
  });
});
