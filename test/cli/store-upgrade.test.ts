import assert from 'node:assert/strict';
import { cpSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { writeBackup } from '../../src/backup/backup-file.ts';
import { upgradeDomain } from '../../src/cli/store/upgrade.ts';
import { UPGRADES } from '../../src/domain/upgrades.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { formatsOf, NEWEST_FORMAT, raiseFormat } from '../../src/storage/format.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import type { Store } from '../../src/storage/store.ts';
import { domainOn } from '../support/domain.ts';
import { besides, command, type Ended } from '../support/command.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { WorkingDirectory } from './latchkey.ts';

const NEXT = NEWEST_FORMAT + 1;
const PASSPHRASE = 'correct horse battery staple';

describe('The format of a store', function () {
  this.timeout(60_000);
  const directory = new WorkingDirectory();
  const keyFile = join(directory.path, 'backup.key');
  let server: TestServer;
  let turn = 0;
  /** A copy of the server's keys directory, which the server removes at its end. */
  let keys = '';

  beforeEach(async () => {
    writeFileSync(keyFile, `${PASSPHRASE}\n`, { mode: 0o600 });
    // The store outlives the server, which removes its own directory.
    server = await startTestServer({ store: `sqlite:${join(directory.path, `${(turn += 1)}.db`)}` });
    keys = join(directory.path, `keys-${turn}`);
    cpSync(join(server.directory, 'master.key'), join(keys, 'master.key'));
  });
  afterEach(() => server.close());
  after(() => directory.remove());

  const run = (line: string, store?: string): Promise<Ended> => {
    const { directory: keys, issuer, config } = server;
    const environment = besides({ directory: keys, issuer, store: store ?? config.stores.grants });
    return command(['store', ...line.split(' ')], { environment });
  };

  /** Upgrades the store as the command of a version does that has one more step. @returns the exit code and the output */
  async function upgradeByNext(
    reply: 'yes' | 'no' | undefined,
    work: (store: Store) => void = () => undefined,
    recordsAhead = 0,
  ) {
    const stores = await openStores(server.config.stores, systemClock, { newest: NEXT });
    stores.records.time = () => Promise.resolve(Date.now() + recordsAhead);
    let said = '';
    const say = (text: string): void => void (said += `${text}\n`);
    const terminal = {
      environment: {},
      print: say,
      warn: say,
      ask: () => Promise.resolve(reply),
      input: () => Promise.resolve(''),
    };
    const step = {
      to: NEXT,
      what: 'does what the test says',
      async *convert({ records }: { records: Store }) {
        work(records);
        yield { position: 'end', records: 7, changed: 0 };
      },
    };
    const context = { given: { options: {}, words: [] }, place: 'the place', terminal };
    try {
      const code = await upgradeDomain(domainOn(stores, { ...server.config, keys_dir: keys }), context, {
        steps: [...UPGRADES, step],
        pause: () => Promise.resolve(),
      });
      return { code, said, formats: await formatsOf(stores.records) };
    } finally {
      await stores.close();
    }
  }

  it('A new store has the newest format, which "store upgrade" keeps and "store check" reports', async () => {
    const { code, out } = await run('upgrade');
    assert.deepEqual(
      [code, out.includes(`has format ${NEWEST_FORMAT}, the newest that this version knows; nothing had to be mended`)],
      [0, true],
    );
    assert.match((await run('check')).out, new RegExp(`^format ${NEWEST_FORMAT}\n`));
    const checked = JSON.parse((await run('check --json')).out) as { format: object };
    assert.deepEqual(checked.format, { oldest: NEWEST_FORMAT, writes: NEWEST_FORMAT, reads: NEWEST_FORMAT });
  });

  it('A store upgrade is refused while a server that cannot read the new format uses the store', async () => {
    await assert.rejects(upgradeByNext('yes'), new RegExp(`a server that cannot read format ${NEXT} uses the store`));
    // The servers date their readiness by the clock of the grants store.
    await assert.rejects(upgradeByNext('yes', undefined, 60_000), /a server that cannot read format/);
    await assert.rejects(upgradeByNext(undefined), /there is no terminal to ask for confirmation/);
    const { formats } = await upgradeBesideNobody('no');
    assert.equal(formats.reads, NEWEST_FORMAT);
  });

  it('"store upgrade" raises the format and says what it does', async () => {
    let calls = 0;
    const { code, said, formats } = await upgradeBesideNobody('yes', () => (calls += 1));
    assert.deepEqual([code, calls, formats], [0, 1, { oldest: NEXT, writes: NEXT, reads: NEXT }]);
    assert.match(said, new RegExp(`upgrading the place from format ${NEWEST_FORMAT} to ${NEXT}, while servers run`));
    assert.match(said, /does what the test says: 7 records/);
    assert.match(said, new RegExp(`the place has format ${NEXT}\n$`));
    // This version refuses it from now on, and says what to do.
    const refused = await run('check');
    assert.deepEqual(
      [refused.code, refused.err.includes('Use the version that upgraded the store')],
      [1, true],
      refused.err,
    );
    const target = join(directory.path, 'copy.db');
    const copied = await run(`copy --from ${server.config.stores.grants} --to sqlite:${target}`);
    assert.deepEqual([copied.code, copied.err.includes('Use the version that upgraded')], [1, true], copied.err);
    assert.equal(existsSync(target), false);
  });

  /** Upgrades the store of a server that has stopped. */
  async function upgradeBesideNobody(reply: 'yes' | 'no' | undefined, work?: () => void) {
    await server.close();
    const stores = await openStores(server.config.stores, systemClock);
    for await (const batch of stores.records.dump()) {
      for (const { key } of batch) if (key.startsWith('readiness:')) await stores.records.delete(key);
    }
    await stores.close();
    return upgradeByNext(reply, work);
  }

  it('A version refuses to restore a backup whose format it does not know', async () => {
    const { directory: keys } = server;
    const masterKey = await openMasterKey(keys, { create: false, random: systemRandom });
    const file = join(directory.path, 'newer.backup');
    const description = { id: 'backup_newer', startedAt: Date.now(), masterKey: masterKey.id, format: NEXT };
    await writeBackup(file, { secret: PASSPHRASE, description, random: systemRandom }, Readable.from([]));
    const target = join(directory.path, 'restored.db');
    const { code, err } = await run(`restore ${file} --key-file ${keyFile} --yes`, `sqlite:${target}`);
    assert.deepEqual([code, err.includes(`has format ${NEXT}`)], [1, true], err);
    assert.equal(existsSync(target), false);
  });

  it('A restore brings back the format of the backed up store, but no interrupted upgrade', async () => {
    const stores = await openStores(server.config.stores, systemClock);
    try {
      await stores.records.create('store-upgrade:main', { to: 2, records: 5, position: 'somewhere', aliveAt: 0 });
      const file = join(directory.path, 'same.backup');
      const made = await run(`backup ${file} --key-file ${keyFile}`);
      assert.equal(made.code, 0, made.err);
      const url = `sqlite:${join(directory.path, 'same.db')}`;
      const restored = await run(`restore ${file} --key-file ${keyFile} --yes`, url);
      assert.equal(restored.code, 0, restored.err);
      const other = await openStores({ grants: url }, systemClock);
      try {
        assert.deepEqual(await formatsOf(other.records), await formatsOf(stores.records));
        assert.equal(await other.records.get('store-upgrade:main'), undefined);
      } finally {
        await other.close();
      }
    } finally {
      await stores.close();
    }
  });

  it('A backup is refused while an upgrade has begun and not ended', async () => {
    const stores = await openStores(server.config.stores, systemClock);
    try {
      const file = join(directory.path, 'during.backup');
      await stores.records.set('store-format:main', { oldest: 1, writes: 2, reads: 2 });
      // The position of an upgrade whose nodes follow already.
      await stores.records.create('store-upgrade:main', { to: 2, records: 5, position: 'links', aliveAt: 0 });
      const { code, err } = await run(`backup ${file} --key-file ${keyFile}`);
      assert.deepEqual([code, err.includes('an upgrade of the store has not ended')], [1, true], err);
      assert.equal(existsSync(file), false);
      assert.equal((await run('upgrade --yes')).code, 0);
      assert.equal((await run(`backup ${file} --key-file ${keyFile}`)).code, 0);
    } finally {
      await stores.close();
    }
  });

  it('A store upgrade without the master key changes nothing', async () => {
    const stores = await openStores(server.config.stores, systemClock);
    try {
      await stores.records.set('store-format:main', { oldest: 1, writes: 1, reads: 1 });
      renameSync(join(server.directory, 'master.key'), join(server.directory, 'away.key'));
      const { code, err } = await run('upgrade --yes');
      assert.deepEqual([code, err.includes('master key')], [1, true], err);
      assert.deepEqual(await formatsOf(stores.records), { oldest: 1, writes: 1, reads: 1 });
      assert.equal(await stores.records.get('store-upgrade:main'), undefined);
    } finally {
      await stores.close();
    }
  });

  it('A backup fails if the format changes while it is made', async () => {
    const stores = await openStores(server.config.stores, systemClock);
    try {
      const file = join(directory.path, 'changed.backup');
      await stores.records.set('store-format:main', { oldest: 1, writes: 1, reads: 1 });
      let to = 1;
      // Raises the whole mark again and again, in small parts of a format, so that this version does not refuse it.
      const raising = setInterval(() => void raiseFormat(stores.records, 'oldest', (to += 0.0001)), 20);
      const { code, err } = await run(`backup ${file} --key-file ${keyFile}`).finally(() => clearInterval(raising));
      assert.deepEqual(
        [code, err.includes('changed the format of the store during the backup'), existsSync(file)],
        [1, true, false],
        err,
      );
    } finally {
      await stores.close();
    }
  });
});
