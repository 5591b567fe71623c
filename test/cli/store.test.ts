import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openBackup, writeBackup, type Description } from '../../src/backup/backup-file.ts';
import { copyStore } from '../../src/backup/copy.ts';
import { restoreBackup } from '../../src/backup/restore.ts';
import { run as runLine } from '../../src/cli/run.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { Load } from '../../src/storage/loading.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { StoreMissing, type Item, type Store } from '../../src/storage/store.ts';
import { postgres, sqlite, type Backend, type RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { besides, command, type Ended } from '../support/command.ts';
import { ALICE, answerAtOnce, authorizationRequest, refresh, tokensFor } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startRedis, startRedisCluster } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import { WorkingDirectory } from './latchkey.ts';

const PASSPHRASE = 'correct horse battery staple';
/** Those that may hold records: what they hold survives a restart. */
const durable: readonly Backend[] = [
  sqlite,
  { name: 'Redis', start: () => startRedis({ appendonly: true }) },
  { name: 'Redis Cluster', start: () => startRedisCluster({ appendonly: true }) },
  postgres,
];
const SCOPE = 'openid offline_access notes:read';

/** Everything of a store but what each server writes for itself. */
async function contents(url: string): Promise<Map<string, Item>> {
  const store = await openStore(url, systemClock);
  const found = new Map<string, Item>();
  try {
    for await (const batch of store.dump())
      for (const item of batch) if (!item.key.startsWith('readiness:')) found.set(`${item.kind} ${item.key}`, item);
    return found;
  } finally {
    await store.close();
  }
}

describe('The command latchkey store', function () {
  this.timeout(240_000);
  const directory = new WorkingDirectory();
  const file = (name: string): string => join(directory.path, name);
  const keyFile = file('backup.key');
  let server: TestServer;
  let source: string;
  let keys: string;
  let issuer: string;
  const start = (store: string) => startTestServer({ store, sameAs: { directory: keys, issuer } });

  before(async () => {
    writeFileSync(keyFile, `${PASSPHRASE}\n`, { mode: 0o600 });
    source = `sqlite:${file('source.db')}`;
    keys = file('keys');
    await openMasterKey(keys, { create: true, random: systemRandom });
    issuer = `http://localhost:${await freePort(5)}`;
    server = await start(source);
  });
  after(async () => {
    await server.close();
    directory.remove();
  });

  const run = (line: string, store = source, directory = keys): Promise<Ended> =>
    command(['store', ...line.split(' ')], {
      environment: besides({ directory, issuer, store }),
    });
  const backup = (name: string): Promise<Ended> => run(`backup ${file(name)} --key-file ${keyFile}`);
  const restore = (name: string, store: string): Promise<Ended> =>
    run(`restore ${file(name)} --key-file ${keyFile} --yes`, store);

  async function descriptionOf(name: string): Promise<Description> {
    const { description, close } = await openBackup(file(name), PASSPHRASE);
    close();
    return description;
  }

  describe('The action backup', () => {
    it('"store backup" writes a private backup file while the server runs, and says what it contains', async () => {
      const { access_token: token = '' } = await tokensFor(issuer, { parameters: { scope: SCOPE } });
      const { code, out, err } = await backup('first');
      assert.equal(code, 0, err);
      assert.match(
        out,
        /first: \d+ items, \d+ KiB, SHA-256 [\da-f]{64}\n.*first\.keys: .*SHA-256 [\da-f]{64}\nThey contain everything that was acknowledged before \d{4}-.*Z/,
      );
      assert.match(err, /backup: \d+ items, \d+ KiB, \d+ s, done/);
      assert.match(err, /a restore needs .*first\.keys, the key file .*backup\.key and .*master\.key/);
      assert.equal(statSync(file('first')).mode & 0o777, 0o600);
      const text = readFileSync(file('first'), 'latin1');
      for (const secret of [token, 'alice', 'account:']) assert.ok(!text.includes(secret), secret);
    });

    it('"store backup" refuses a key file that others on the machine can read', async () => {
      const line = `backup ${file('no')} --key-file ${file('open.key')}`;
      const refusal = /open\.key is open to other users of this machine \(mode 06[04][04]\)\. Run: chmod 600/;
      for (const [mode, isOpen] of [
        [0o644, true],
        [0o640, true],
        [0o600, false],
      ] as const) {
        writeFileSync(file('open.key'), 'too short\n');
        chmodSync(file('open.key'), mode);
        assert.equal(refusal.test((await run(line)).err), isOpen);
      }
    });

    it('"store backup" refuses to replace a file, and refuses a missing, short or unsuitable key', async () => {
      assert.match((await backup('first')).err, /first already exists and is not replaced/);
      const missing = await run(`backup ${file('no')}`);
      assert.deepEqual([missing.code, missing.err.includes('needs --key-file FILE')], [2, true], missing.err);
      writeFileSync(file('short'), 'too short\n');
      chmodSync(file('short'), 0o600);
      assert.match((await run(`backup ${file('no')} --key-file ${file('short')}`)).err, /fewer than 20 characters/);
      const master = join(keys, 'master.key');
      const refused = await run(`backup ${file('no')} --key-file ${master}`);
      assert.deepEqual([refused.code, refused.err.includes('holds the master key')], [1, true], refused.err);
      const nowhere = await run(`backup ${file('nodir/backup')} --key-file ${keyFile}`);
      assert.match(nowhere.err, /^latchkey: the folder .*nodir does not exist: create it/);
      assert.equal(existsSync(file('no')), false);
    });
  });

  describe('The action restore', () => {
    const target = (): string => `sqlite:${file('refused.db')}`;

    it('"store restore" refuses a cut or altered file and wrong keys, and creates no store', async () => {
      const whole = readFileSync(file('first'));
      writeFileSync(file('cut'), whole.subarray(0, whole.length - 100));
      assert.match((await restore('cut', target())).err, /cut/);
      const altered = Buffer.from(whole);
      altered[200] = (altered[200] ?? 0) ^ 1;
      writeFileSync(file('altered'), altered);
      assert.match((await restore('altered', target())).err, /altered/);
      writeFileSync(file('other.key'), 'another passphrase than that\n', { mode: 0o600 });
      const other = await run(`restore ${file('first')} --key-file ${file('other.key')} --yes`, target());
      assert.match(
        other.err,
        /the passphrase is wrong.*This run tried the key file .*other\.key: name the key file of this/,
      );
      const missing = await run(`restore ${file('none')} --key-file ${keyFile} --yes`, target(), file('no-keys'));
      assert.match(missing.err, /^latchkey: .*none does not exist: name an existing file \(ENOENT\)\n$/);
      const keyless = await run(`restore ${file('first')} --key-file ${keyFile} --yes`, target(), file('no-keys'));
      assert.match(
        keyless.err,
        /no-keys\/master\.key\. Put back the master\.key of the old installation; a new one cannot/,
      );
      const others = file('other-keys');
      await openMasterKey(others, { create: true, random: systemRandom });
      const line = `restore ${file('first')} --key-file ${keyFile} --yes`;
      const wrong = await run(line, target(), others);
      assert.deepEqual([wrong.code, wrong.err.includes('needs the master key')], [1, true], wrong.err);
      assert.equal(existsSync(file('refused.db')), false);
    });

    it('"store restore" asks first and changes nothing without a yes', async () => {
      const line = ['store', 'restore', file('first'), '--key-file', keyFile];
      const environment = besides({ directory: keys, issuer, store: target() });
      const { code, err } = await command(line, { environment, answers: ['no'] });
      assert.equal(code, 1);
      assert.match(err, /everybody must sign in again/);
      assert.equal(existsSync(file('refused.db')), false);
    });

    it('"store restore" refuses a file that was replaced while it asked the operator', async () => {
      const swapped = file('swapped');
      writeFileSync(swapped, readFileSync(file('first')));
      writeFileSync(`${swapped}.keys`, readFileSync(file('first.keys')));
      assert.equal((await backup('other-backup')).code, 0);
      const warned: string[] = [];
      const code = await runLine(['store', 'restore', swapped, '--key-file', keyFile], {
        environment: besides({ directory: keys, issuer, store: `sqlite:${file('from-swapped.db')}` }),
        print: () => undefined,
        warn: (text) => void warned.push(text),
        input: () => Promise.resolve(''),
        ask: () => {
          writeFileSync(swapped, readFileSync(file('other-backup')));
          return Promise.resolve('yes');
        },
      });
      assert.deepEqual([code, warned.at(-1)?.includes('was replaced')], [1, true], warned.join('\n'));
      assert.equal((await contents(`sqlite:${file('from-swapped.db')}`)).size, 0);
    });

    it('"store restore" refuses a store that is not empty', async () => {
      const before = await contents(source);
      const { code, err } = await restore('first', source);
      assert.equal(code, 1);
      assert.match(err, /is not empty .*: nothing was changed/);
      assert.equal((await contents(source)).size, before.size);
    });

    it('"store restore" refuses a full grants store, even at a second attempt, and leaves the records store empty', async () => {
      const [records, grants] = [`sqlite:${file('separate-records.db')}`, `sqlite:${file('full-grants.db')}`];
      const full = await openStore(grants, systemClock);
      await full.set('session:1', {});
      await full.close();
      const line = ['store', 'restore', file('first'), '--key-file', keyFile, '--yes'];
      const environment = {
        ...besides({ directory: keys, issuer, store: grants }),
        LATCHKEY_RECORDS_STORE: records,
      };
      for (const attempt of ['first', 'second']) {
        const { code, err } = await command(line, { environment });
        assert.deepEqual(
          [code, err.includes('is not empty (session): nothing was changed')],
          [1, true],
          `${attempt}: ${err}`,
        );
        assert.deepEqual([...(await contents(grants)).keys()], ['record session:1']);
        assert.equal((await contents(records)).size, 0);
      }
    });

    it('"store restore" refuses a full records store even if its grants are half restored', async () => {
      const [records, grants] = [`sqlite:${file('full-records.db')}`, `sqlite:${file('half-grants.db')}`];
      const full = await openStore(records, systemClock);
      await full.set('account:1', {});
      await full.close();
      const description = await descriptionOf('first');
      const half = await openStore(grants, systemClock);
      await Load.begin(half, {
        by: 'restore',
        source: `${description.id} sqlite:/elsewhere.db ${grants}`,
        place: grants,
      });
      await half.set('store-loading:main', { ...(await half.get<object>('store-loading:main'))?.value, aliveAt: 0 });
      await half.close();
      const line = ['store', 'restore', file('first'), '--key-file', keyFile, '--yes'];
      const environment = {
        ...besides({ directory: keys, issuer, store: grants }),
        LATCHKEY_RECORDS_STORE: records,
      };
      const { code, err } = await command(line, { environment });
      assert.deepEqual([code, err.includes('is not empty (account)')], [1, true], err);
      assert.deepEqual([...(await contents(records)).keys()], ['record account:1']);
    });
  });

  describe('A backup that was made during the removal of an account', () => {
    it('A restored store contains nothing of the removed account, so its address is free', async () => {
      const { masterKey } = await descriptionOf('first');
      const record = (key: string, value: object): Item => ({
        kind: 'record',
        key,
        json: JSON.stringify(value),
        version: 1,
      });
      const whole = ['account:acc_1', 'account-email:1', 'password:acc_1', 'consent:acc_1:app', 'issuer-link:1'];
      const items = ['acc_1', 'acc_2'].flatMap((account, at) => [
        record(`account-email:${at + 1}`, { account }),
        record(`password:${account}`, {}),
        record(`consent:${account}:app`, {}),
        record(`issuer-link:${at + 1}`, { account }),
        record(`signal-subject:stream:${account}`, {}),
        record(`signal-acquaintance:https://app.example.com:${account}`, {}),
      ]);
      const secret = PASSPHRASE;
      const description = { id: 'backup_removal', startedAt: 1, masterKey };
      const half = (async function* () {
        yield await Promise.resolve([...items, record('account:acc_1', {})]);
      })();
      await writeBackup(file('removal'), { secret, description, random: systemRandom }, half);
      const target = `sqlite:${file('of-removal.db')}`;
      const { code, err } = await restore('removal', target);
      assert.equal(code, 0, err);
      const kept = [...(await contents(target)).values()]
        .filter(({ key }) => !key.startsWith('cut:'))
        .map(({ key }) => key);
      const others = ['signal-acquaintance:https://app.example.com:acc_1', 'signal-subject:stream:acc_1'];
      assert.deepEqual(kept.toSorted(), [...whole, ...others].toSorted());
    });

    it('A restore refuses a record of a kind that this version does not know, unless it may skip it', async () => {
      const { masterKey } = await descriptionOf('first');
      const record = (key: string): Item => ({ kind: 'record', key, json: '{}', version: 1 });
      const items = (async function* () {
        yield await Promise.resolve([record('consent:1:app'), record('of-\u001b[2Jlater:1'), record('of-later:1')]);
      })();
      const description = { id: 'backup_of_later', startedAt: 1, masterKey };
      await writeBackup(file('later'), { secret: PASSPHRASE, description, random: systemRandom }, items);
      const target = `sqlite:${file('of-later.db')}`;
      const { code, err } = await restore('later', target);
      assert.equal(code, 1);
      assert.match(err, /does not know: "of-\\u001b\[2Jlater" \(1\), of-later \(1\)\. .*--skip-unknown/);
      assert.equal(existsSync(file('of-later.db')), false);
      const skipping = await run(`restore ${file('later')} --key-file ${keyFile} --yes --skip-unknown`, target);
      assert.equal(skipping.code, 0, skipping.err);
    });

    it('A restore remains incomplete if a server uses the store meanwhile', async () => {
      const place = `sqlite:${file('used-by-a-server.db')}`;
      const store = await openStore(place, systemClock);
      const loads = [await Load.begin(store, { by: 'restore', source: 'one', place })];
      const { items } = await openBackup(file('removal'), PASSPHRASE);
      const restored = restoreBackup(
        items(),
        {
          records: store,
          grants: store,
          loads,
          now: () => systemClock.now(),
          notBeforeLife: 60,
          accountKeys: undefined,
        },
        () => void store.set('readiness:node', { at: systemClock.now() + 1 }, { ttl: 60 }),
      );
      await assert.rejects(restored, /a server used the store during the restore: stop every server, empty the store/);
      await store.close();
      await assert.rejects(start(place), /is incomplete/);
    });
  });

  for (const backend of durable) {
    describe(`A backup that is restored into ${backend.name}`, () => {
      let running: RunningBackend;
      before(async () => {
        running = await backend.start();
      });
      after(() => running.stop());

      it('A restored store has accounts, clients and keys, but no session or token remains valid', async () => {
        const browser = new Browser();
        const parameters = { scope: SCOPE };
        const forApi = await tokensFor(issuer, {
          browser,
          parameters: { scope: 'openid notes:read', resource: apiOf(issuer) },
        });
        const used = await tokensFor(issuer, { parameters });
        const unused = await tokensFor(issuer, { parameters });
        const name = `backup-${backend.name.replaceAll(' ', '-')}`;
        assert.equal((await backup(name)).code, 0);
        const next = await refresh(issuer, used['refresh_token']);
        assert.equal(next.status, 200);
        const later = await tokensFor(issuer, { parameters });

        const { code, out, err } = await restore(name, running.url);
        assert.equal(code, 0, err);
        assert.match(out, /restored \d+ items into .*; skipped \d+ items \(sessions, tokens and the like\)/);
        assert.match(out, /changed passwords and client secrets have their old values again/);
        assert.match(out, /removed trusted issuers are trusted again/);
        assert.match(err, /restore: \d+ items, .* done/);

        await server.close();
        const restored = await start(running.url);
        try {
          for (const token of [
            used['refresh_token'],
            next.body['refresh_token'],
            unused['refresh_token'],
            later['refresh_token'],
          ]) {
            assert.equal((await refresh(issuer, String(token))).body['error'], 'invalid_grant');
          }
          const silent = authorizationRequest(issuer, 'demo-notes', { prompt: 'none' });
          assert.equal((await answerAtOnce(browser, silent))['error'], 'login_required');
          assert.equal((await fetch(statusUri(forApi['access_token']))).status, 404);
          for (const { access_token: token = '' } of [used, unused, later]) {
            const headers = { authorization: `Bearer ${token}` };
            assert.equal((await fetch(new URL('/userinfo', issuer), { headers })).status, 401);
          }
          // The account, its password and its consent are there, and new tokens work.
          const fresh = await tokensFor(issuer, { browser, person: ALICE, parameters });
          assert.equal((await refresh(issuer, fresh['refresh_token'])).status, 200);
          const kids = async (token: string | undefined) => JSON.stringify(headerOf(token)['kid']);
          assert.equal(await kids(fresh['id_token']), await kids(unused['id_token']));
        } finally {
          await restored.close();
          server = await start(source);
        }
      });

      it('A filled store refuses a second restore', async () => {
        const { code, err } = await restore('first', running.url);
        assert.deepEqual([code, err.includes('is not empty')], [1, true], err);
      });
    });
  }

  describe('The action check', () => {
    it('"store check" prints the sizes by kind and finds invalid records', async () => {
      const clean = await run('check');
      assert.equal(clean.code, 0, clean.err);
      assert.match(clean.out, /^kind +items +size$/m);
      assert.match(clean.out, /^account +2 +1 KiB$/m);
      assert.match(clean.out, /\nnothing to repair\n$/);
      const store = await openStore(source, systemClock);
      try {
        await store.set('session:endless', {});
        await store.set('session:\u001b[2J\u202e', {});
        const base = { kind: 'record', key: 'account:damaged', version: -1 } as const;
        await store.load([{ ...base, json: '{"cut' }]);
        const { code, out, err } = await run('check');
        assert.equal(code, 1);
        assert.match(out, /\n4 defects: run with --repair, which deletes no record\n$/);
        assert.match(err, /session:endless has no expiry/);
        assert.match(err, /account:damaged has the version -1/);
        assert.match(err, /account:damaged does not hold JSON/);
        assert.match(err, /"session:\\u001b\[2J\\u\{202e\}" has no expiry/);
        assert.ok(!err.includes('\u001b'), 'no key reaches the terminal as it is');
        const json = JSON.parse((await run('check --json')).out) as { findings: string[]; kinds: object };
        assert.deepEqual([json.findings.length, 'account' in json.kinds], [4, true]);
        await store.load([{ ...base, json: '1', version: 1 }]);
      } finally {
        await store.delete('session:endless');
        await store.delete('session:\u001b[2J\u202e');
        await store.delete('account:damaged');
        await store.close();
      }
      const again = await openStore(source, systemClock);
      await again.set('client:sealed', { client_id: 'sealed', sealed_secret: 'under another key' });
      const delivery = { method: 'urn:ietf:rfc:8935', endpoint_url: 'https://app.example.com', authorization: 'x' };
      await again.set('signal-stream:sealed', { delivery });
      const sealed = await run('check');
      for (const key of ['client:sealed', 'signal-stream:sealed']) {
        assert.ok(sealed.err.includes(`${key} has a sealed value that the current keys cannot open`), sealed.err);
        await again.delete(key);
      }
      await again.close();
      const others = file('keys-of-others');
      await openMasterKey(others, { create: true, random: systemRandom });
      const wrong = await run('check', source, others);
      assert.deepEqual([wrong.code, wrong.err.includes('key-ring:main cannot be opened')], [1, true], wrong.err);
    });
  });

  describe('The option --repair of check', () => {
    it('"store check --repair" repairs expiries and dangling index entries, deletes no record, and reports its work', async () => {
      const store = await openStore(source, systemClock);
      const damaged = new DatabaseSync(file('source.db'));
      try {
        await store.set('session:endless', { some: 'value' }, { indexes: ['sessions-of-account:1'] });
        await store.load([{ kind: 'record', key: 'account:damaged', json: '{"cut', version: 1 }]);
        damaged.exec("INSERT INTO members (name, expires_at, key) VALUES ('accounts', 8000000000000, 'account:lost')");
        const { code, out, err } = await run('check --repair');
        assert.equal(code, 1, 'one thing is left');
        assert.match(out, /\n3 defects: 1 cannot be repaired by this command\n$/);
        assert.match(
          err,
          /session:endless has no expiry, although records of its kind expire: it now expires in 97 days \(repaired\)/,
        );
        assert.match(
          err,
          /index accounts has an entry for account:lost, but that record does not exist or is not in the index \(repaired\)/,
        );
        assert.match(err, /account:damaged does not hold JSON$/m);
        const session = await store.get('session:endless');
        assert.deepEqual(session?.value, { some: 'value' });
        assert.ok((session.expiresAt ?? 0) > systemClock.now() + 96 * 86_400_000);
        assert.deepEqual((await store.members('sessions-of-account:1')).keys, ['session:endless']);
        await store.load([{ kind: 'record', key: 'account:damaged', json: '1', version: 1 }]);
        const clean = await run('check --repair');
        assert.equal(clean.code, 0, clean.err);
        assert.match(clean.out, /\nnothing to repair\n$/);
      } finally {
        await store.delete('session:endless');
        await store.delete('account:damaged');
        damaged.close();
        await store.close();
      }
    });

    it('"store check --repair" reports records of an unknown kind and leaves them as they are', async () => {
      const store = await openStore(source, systemClock);
      try {
        for (const id of [1, 2]) await store.set(`of-later:${id}`, {});
        await store.set('\u001b[2J:1', {});
        const before = await store.get('of-later:1');
        const { code, out, err } = await run('check --repair');
        assert.equal(code, 1);
        assert.match(err, /of-later is a kind that this version of Latchkey does not know: 2 records$/m);
        assert.ok(!`${out}${err}`.includes('\u001b'), 'no kind reaches the terminal as it is');
        assert.deepEqual(await store.get('of-later:1'), before);
      } finally {
        for (const key of ['of-later:1', 'of-later:2', '\u001b[2J:1']) await store.delete(key);
        await store.close();
      }
    });

    it('"store check" reports the growth of each kind since the last check', async () => {
      await run('check');
      const store = await openStore(source, systemClock);
      for (const at of [1, 2, 3]) await store.set(`consent:grown:${at}`, {});
      const { out } = await run('check');
      assert.match(out, /^kind +items +size +since \d{4}-\d\d-\d\dT\d\d:\d\dZ$/m);
      assert.match(out, /^consent .* \+3$/m);
      for (const at of [1, 2, 3]) await store.delete(`consent:grown:${at}`);
      await store.close();
      const { kinds, before } = JSON.parse((await run('check --json')).out) as Record<string, { kinds: object }>;
      assert.ok(kinds && before && 'consent' in before.kinds);
    });
  });

  describe('The action copy', () => {
    const copy = (from: string, to: string, more = ''): Promise<Ended> =>
      command(['store', 'copy', ...more.split(' ').filter(Boolean)], {
        environment: {
          ...besides({ directory: keys, issuer, store: 'sqlite:unused' }),
          LATCHKEY_COPY_FROM: from,
          LATCHKEY_COPY_TO: to,
        },
      });
    let tokens: Record<string, string>;
    let browser: Browser;
    const stopped: RunningBackend[] = [];

    /** Makes the last sign of life of the stopped server an old one, instead of waiting. */
    async function calm(url: string): Promise<void> {
      const store = await openStore(url, systemClock);
      for await (const batch of store.dump())
        for (const { key } of batch) if (key.startsWith('readiness:')) await store.delete(key);
      await store.close();
    }

    before(async () => {
      browser = new Browser();
      tokens = await tokensFor(issuer, { browser, parameters: { scope: SCOPE } });
    });
    after(async () => {
      for (const running of stopped) await running.stop();
      server = await start(source);
    });

    it('"store copy" refuses a source in use, a missing source, a full target and incomplete options', async () => {
      assert.match((await copy(source, `sqlite:${file('no.db')}`)).err, /a server uses .*: stop every server/);
      assert.match((await copy(`sqlite:${file('none.db')}`, source)).err, /there is no store at/);
      await server.close();
      await calm(source);
      const full = `sqlite:${file('refused-copy.db')}`;
      const store = await openStore(full, systemClock);
      await store.set('account:1', {});
      await store.close();
      assert.match((await copy(source, full)).err, /is not empty \(account\)/);
      assert.equal((await run('copy --from sqlite:x', source)).code, 2);
      assert.equal((await copy(source, full, ' --only all')).code, 2);
    });

    it('"store copy" accepts passwords only from a file or standard input, not from the command line', async () => {
      for (const url of ['rediss://:secret@redis.example.com', 'postgres://latchkey:secret@pg1,pg2/latchkey']) {
        const { code, err } = await run(`copy --from ${url} --to sqlite:x`);
        assert.deepEqual([code, err.includes('everybody on this machine could read')], [2, true], err);
        assert.match(err, /--from-file FILE \(- for standard input\) or LATCHKEY_COPY_FROM/);
        assert.ok(!err.includes('secret'), err);
      }
      const nowhere = `redis://:secret@127.0.0.1:${await freePort()}`;
      writeFileSync(file('to-url'), `${nowhere}\n`, { mode: 0o600 });
      const { err } = await command(['store', 'copy', '--from-file', '-', '--to-file', file('to-url')], {
        environment: {},
        input: `${source}\n`,
      });
      assert.match(err, /no Redis at 127\.0\.0\.1/);
      assert.ok(err.includes(`in the store URL (${file('to-url')})`), err);
      assert.ok(!err.includes('secret'), err);
      assert.equal((await run('copy --from-file - --to-file -')).code, 2);
      assert.equal((await run(`copy --from ${source} --from-file - --to sqlite:x`)).code, 2);
    });

    it('"store copy" creates no tables in an empty source', async () => {
      const empty = await postgres.start();
      stopped.push(empty);
      const { code, err } = await copy(empty.url, `sqlite:${file('of-nothing.db')}`);
      assert.deepEqual([code, err.includes('there is no store at postgres://')], [1, true], err);
      await assert.rejects(openStore(empty.url, systemClock, false, false), StoreMissing);
      const unused = `sqlite:${file('unused-until-now.db')}`;
      await (await openStore(unused, systemClock)).close();
      assert.match((await copy(unused, `sqlite:${file('of-nothing.db')}`)).err, /there is no store at .*: it is empty/);
    });

    // Servers date their readiness by the clock of the grants store, which may be another one.
    for (const behind of [0, 3_600_000])
      it(`No server starts with the copy if another one used the old store meanwhile, by a clock ${behind} ms behind`, async () => {
        const [used, target] = [`sqlite:${file(`used-${behind}.db`)}`, `sqlite:${file(`of-used-${behind}.db`)}`];
        const ready = { at: systemClock.now() - behind };
        const store = await openStore(used, systemClock);
        await store.set('account:1', {});
        if (behind > 0) await store.set('readiness:node', ready, { ttl: 60 });
        const warned: string[] = [];
        const code = await runLine(['store', 'copy', '--from', used, '--to', target], {
          ...{ environment: {}, print: () => undefined, ask: () => Promise.resolve(undefined) },
          input: () => Promise.resolve(''),
          warn: (text) => {
            warned.push(text);
            // A server that starts between the copy and the comparison.
            if (text.startsWith('latchkey: copy:')) void store.set('readiness:node', ready, { ttl: 60 });
          },
        });
        await store.close();
        assert.deepEqual([code, warned.at(-1)?.includes('a server used')], [1, true], warned.join('\n'));
        await assert.rejects(start(target), /is incomplete/);
      });

    it('"store copy" resumes after an interruption, and servers refuse the copy until it is complete', async () => {
      const target = `sqlite:${file('interrupted.db')}`;
      const store = await openStore(target, systemClock);
      const wrong = [...(await contents(source)).values()].filter(({ key }) => key.startsWith('account'));
      await store.load(wrong.slice(0, 1));
      await store.set('account:lost', {});
      await store.increment('attempts:surplus', 1, 3600);
      const value = { by: 'copy', source: `${source} `, aliveAt: 0 };
      await store.set('store-loading:main', value);
      await store.close();
      const differing = await copy(source, target);
      assert.equal(differing.code, 1);
      assert.match(differing.err, /differ, so servers refuse to open .*\n {2}- attempts: \d+ and \d+/);
      await assert.rejects(start(target), /is incomplete/);
      const again = await openStore(target, systemClock);
      assert.equal(await again.get('account:lost'), undefined);
      await again.load([{ kind: 'counter', key: 'attempts:surplus', sum: 1, expiresAt: systemClock.now() + 1000 }]);
      await again.set('store-loading:main', value);
      await again.close();
      const { code, err } = await copy(source, target);
      assert.equal(code, 0, err);
    });

    it('"store copy" copies everything between all backends, including sessions and used tokens', async () => {
      let from = source;
      for (const backend of [...durable.slice(1), sqlite]) {
        const running = await backend.start();
        stopped.push(running);
        const { code, out, err } = await copy(from, running.url);
        assert.equal(code, 0, `${backend.name}: ${err}`);
        assert.match(out, /items are equal in both/);
        const url = running.url.startsWith('sqlite:') ? running.url : 'the URL in LATCHKEY_COPY_TO';
        assert.ok(out.includes(`Set stores.grants (or LATCHKEY_STORE) to ${url}, then start the servers.`), out);
        from = running.url;
      }
      assert.deepEqual(await contents(from), await contents(source));
      server = await start(from);
      try {
        const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', scope: SCOPE });
        assert.ok((await answerAtOnce(browser, request))['code']);
        assert.equal((await refresh(issuer, tokens['refresh_token'])).status, 200);
      } finally {
        await server.close();
      }
    });

    it('The option --while-serving copies ahead, so that the copy after the stop moves only what has changed', async () => {
      const target = `sqlite:${file('ahead.db')}`;
      server = await start(source);
      const person = new Browser();
      const parameters = { scope: SCOPE };
      const used = await tokensFor(issuer, { browser: person, parameters });
      const store = await openStore(source, systemClock);
      await store.set('consent:withdrawn:app', {});
      for (const pass of ['first', 'second']) {
        const ahead = await copy(source, target, ' --while-serving');
        assert.deepEqual([ahead.code, ahead.out.includes('no server opens')], [0, true], `${pass}: ${ahead.err}`);
        await assert.rejects(start(target), /is incomplete/);
      }
      const next = await refresh(issuer, used['refresh_token']);
      assert.equal(next.status, 200);
      await store.delete('consent:withdrawn:app');
      await store.close();
      assert.match((await copy(source, target)).err, /a server uses .*: stop every server/);
      await server.close();
      await calm(source);
      const { code, err } = await copy(source, target);
      assert.equal(code, 0, err);
      assert.match(err, /1 records that .* no longer has were deleted/);
      assert.deepEqual(await contents(target), await contents(source));
      server = await start(target);
      try {
        const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', scope: SCOPE });
        assert.ok((await answerAtOnce(person, request))['code'], 'people stay signed in');
        assert.equal((await refresh(issuer, String(next.body['refresh_token']))).status, 200);
      } finally {
        await server.close();
      }
    });

    it('One of two copies that start at once fills the store, and the other one is refused', async () => {
      const target = `sqlite:${file('contested.db')}`;
      await calm(source);
      const ended = await Promise.all([copy(source, target), copy(source, target)]);
      assert.deepEqual(ended.map(({ code }) => code).toSorted(), [0, 1], ended.map(({ err }) => err).join('\n'));
      assert.deepEqual(await contents(target), await contents(source));
    });

    it('The next run completes a copy that was interrupted anywhere', async () => {
      await calm(source);
      const whole = await contents(source);
      for (const writes of [0, 1, 2, 3]) {
        const target = `sqlite:${file(`broken-${writes}.db`)}`;
        const [from, to] = [await openStore(source, systemClock), await openStore(target, systemClock)];
        const load = await Load.begin(to, { by: 'copy', source: `${source} `, place: target });
        let left = writes * 40;
        // The process dies in the middle of a batch.
        const dying: Store = Object.assign(Object.create(to) as Store, {
          getMany: to.getMany.bind(to),
          load: async (items: readonly Item[]) => {
            await to.load(items.slice(0, left));
            left -= items.length;
            if (left <= 0) throw new Error('the process has died');
          },
        });
        await assert.rejects(
          copyStore({ from, to: dying, part: undefined, load }, () => undefined),
          /has died/,
        );
        await load.pause();
        await from.close();
        await to.close();
        await assert.rejects(start(target), /is incomplete/);
        const { code, err } = await copy(source, target);
        assert.equal(code, 0, err);
        // What expires while the machine is busy is in neither.
        const stays = (of: Awaited<ReturnType<typeof contents>>) =>
          new Map([...of].filter(([, { expiresAt = Infinity }]) => expiresAt > systemClock.now() + 10 * 60_000));
        assert.deepEqual(stays(await contents(target)), stays(whole));
      }
    });

    it('"store copy --only" separates records and grants', async () => {
      const [records, grants] = [`sqlite:${file('records.db')}`, `sqlite:${file('grants.db')}`];
      for (const [to, role] of [
        [records, 'records'],
        [grants, 'grants'],
      ] as const) {
        const { code, err } = await copy(source, to, ` --only ${role}`);
        assert.equal(code, 0, err);
      }
      const kinds = async (url: string) =>
        new Set([...(await contents(url)).values()].map(({ key }) => key.split(':')[0]));
      const [ofRecords, ofGrants] = [await kinds(records), await kinds(grants)];
      assert.ok(ofRecords.has('account') && !ofRecords.has('session') && !ofRecords.has('attempts'));
      assert.ok(ofGrants.has('session') && !ofGrants.has('account') && !ofGrants.has('key-ring'));
    });
  });
});

function headerOf(token: string | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(token?.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

function statusUri(token: string | undefined): string {
  const claims = JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()) as {
    status?: { status_list?: { uri?: string } };
  };
  return claims.status?.status_list?.uri ?? assert.fail('the token names no status list');
}
