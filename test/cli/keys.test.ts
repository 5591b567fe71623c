import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, linkSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run as runLine } from '../../src/cli/run.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import { openMasterKey, openMasterKeyFile } from '../../src/keys/master-key.ts';
import { resealRing } from '../../src/keys/rewrap.ts';
import { ringRecords } from '../../src/keys/ring-record.ts';
import { timetableOf } from '../../src/keys/timetable.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { parse } from '../config/problems-of.ts';
import { freshToken, PIN, privateKeysIn, type Pkcs11 } from '../support/softhsm.ts';
import { WorkingDirectory, type Ended } from './latchkey.ts';

const DAY = 86_400_000;
const CONFIG = `issuer: https://login.example.com
stores: { grants: 'sqlite:STORE' }
keys_dir: KEYS
resources: [{ identifier: https://api.example.com, name: API }]
clients:
  - { client_id: shop, client_name: Shop, type: spa, redirect_uris: ['https://shop.example.com/callback'], id_token_signing_alg: ES256 }
  - { client_id: old, client_name: Old, type: spa, redirect_uris: ['https://old.example.com/'] }
`;

describe('The command latchkey keys', () => {
  let directory: WorkingDirectory;
  let keysFolder: string;
  let config: string;
  const masterFile = (suffix = ''): string => join(keysFolder, `master.key${suffix}`);

  beforeEach(async () => {
    directory = new WorkingDirectory();
    keysFolder = join(directory.path, 'keys');
    config = CONFIG.replace('STORE', join(directory.path, 'store.db')).replace('KEYS', keysFolder);
    directory.write('latchkey.yaml', config);
    await openMasterKey(keysFolder, { create: true, random: systemRandom });
  });
  afterEach(() => directory.remove());

  /** Runs an action in this process. @param answer what the person at the terminal says; without it nobody is there */
  async function run(line: string, answer?: string): Promise<Ended> {
    const printed = { out: '', err: '' };
    const words = ['--config', join(directory.path, 'latchkey.yaml'), ...line.split(' ')];
    const show = (text: string): string => `${text.replaceAll(`${directory.path}/`, '')}\n`;
    const code = await runLine(['keys', ...words], {
      environment: {},
      print: (text) => void (printed.out += show(text)),
      warn: (text) => void (printed.err += show(text)),
      ask: () => Promise.resolve(answer),
      input: () => Promise.resolve(''),
    });
    return { code, ...printed };
  }

  async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
    const store = openSqliteStore(join(directory.path, 'store.db'), systemClock);
    return work(store).finally(() => store.close());
  }

  /** What a node's start at a moment does, whose clock says so many days from now. */
  async function startNode(days = 0): Promise<void> {
    const clock: Clock = { now: () => systemClock.now() + days * DAY };
    const parsed = parse(config).config;
    await withStore(async (records) => {
      const masterKey = await openMasterKey(keysFolder, { create: false, random: systemRandom });
      const { algorithms } = parsed.keys;
      const timetable = timetableOf(parsed);
      const ring = await openKeyRing({ records, masterKey, clock, random: systemRandom, algorithms, timetable });
      await ring.close();
    });
  }

  interface Listed {
    kid: string;
    algorithm: string;
    state: string;
    signsFrom: string;
    signsUntil: string;
  }
  const listed = async (): Promise<Listed[]> => JSON.parse((await run('list --json')).out) as Listed[];
  const kidOf = async (algorithm: string, state = 'signing'): Promise<string> => {
    const key = (await listed()).find((one) => one.algorithm === algorithm && one.state === state);
    assert.ok(key !== undefined);
    return key.kid;
  };

  describe('The action list', () => {
    it('"keys list" shows the state of every key and its times', async () => {
      await startNode(-29.5);
      const { code, out, err } = await run('list');
      assert.deepEqual([code, err], [0, '']);
      const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
      assert.match(
        out,
        new RegExp(
          `^kid +algorithm  state    from +until +private key\n[\\w-]{43}  ES256      signing  ${time}  ${time}  ring\n[\\w-]{43}  RS256      signing  ${time}  ${time}  ring\n$`,
        ),
      );
      await startNode();
      assert.deepEqual(
        (await listed()).map(({ algorithm, state }) => `${algorithm} ${state}`),
        ['ES256 signing', 'ES256 announced', 'RS256 signing', 'RS256 announced'],
      );
    });

    it('"keys list" shows no private half and no secret', async () => {
      await startNode();
      for (const line of ['list', 'list --json', 'export-public']) {
        const { out } = await run(line);
        const stored = await withStore(async (store) =>
          ringRecords(store, await openMasterKeyFile(masterFile())).read(),
        );
        assert.ok(stored !== undefined);
        for (const { privateJwk } of stored.content.keys) assert.ok(!out.includes(privateJwk?.d ?? '?'));
        for (const { secret } of stored.content.cookieKeys) assert.ok(!out.includes(secret));
        assert.ok(!out.includes(stored.content.root));
      }
    });

    it('"keys list" reports a missing store and creates nothing', async () => {
      const { code, err } = await run('list');
      assert.equal(code, 1);
      assert.match(err, /^latchkey: there is no store at sqlite:store\.db \(stores\.grants in latchkey\.yaml\): /);
    });

    it('"keys list" reports a missing master key and does not create one', async () => {
      await startNode();
      rmSync(masterFile());
      const { code, err } = await run('list');
      assert.equal(code, 1);
      assert.match(err, /^latchkey: There is no master key at keys\/master\.key\./);
      assert.ok(!existsSync(masterFile()));
    });
  });

  describe('The action rotate', () => {
    it('"keys rotate" announces the next key of every algorithm, which signs after its announce time', async () => {
      await startNode();
      const { code, out } = await run('rotate');
      assert.equal(code, 0);
      assert.match(out, /^announcing the next key of ES256, RS256; it begins to sign 1d later, once APIs know it\n/);
      assert.match(out, /^RS256 {2}[\w-]{43} {2}announced, signs from 2\d{3}-/m);
      const es256 = (await listed()).filter(({ algorithm }) => algorithm === 'ES256');
      assert.deepEqual(
        es256.map(({ state }) => state),
        ['signing', 'announced'],
      );
      assert.equal(es256[0]?.signsUntil, es256[1]?.signsFrom);
    });

    it('"keys rotate" rotates one algorithm, but not again while its next key is announced', async () => {
      await startNode();
      assert.equal((await run('rotate --alg ES256')).code, 0);
      const first = await kidOf('ES256', 'announced');
      const [again] = JSON.parse((await run('rotate --alg ES256 --json')).out) as { kid: string; isNew: boolean }[];
      assert.deepEqual([again?.kid, again?.isNew], [first, false]);
      assert.equal((await listed()).length, 3);
    });

    it('"keys rotate" refuses an algorithm that the configuration does not list', async () => {
      const { code, err } = await run('rotate --alg ES265');
      assert.equal(code, 1);
      assert.match(err, /keys\.algorithms does not list ES265: it has ES256, RS256 \(did you mean ES256\?\)/);
    });
  });

  describe('The action revoke', () => {
    it('"keys revoke" explains its effects and asks for confirmation', async () => {
      await startNode();
      const kid = await kidOf('ES256');
      const refused = await run(`revoke -- ${kid}`, 'n');
      assert.deepEqual([refused.code, refused.out], [1, '']);
      assert.match(refused.err, new RegExp(`^revoking ES256 key ${kid}, signing since 2\\d{3}-`));
      for (const line of [
        'every node removes it from /jwks within 1m; an API that caches /jwks may use it for 5m longer',
        'a new key signs from now on',
        'access tokens that it has signed become invalid, for https://api.example.com',
        'ID tokens that it has signed become invalid, for shop and for apps in the store that use ES256',
      ]) {
        assert.ok(refused.err.includes(`  - ${line}\n`), refused.err);
      }
      assert.match(refused.err, /nothing was changed\n$/);
      assert.equal(await kidOf('ES256'), kid);

      assert.equal((await run(`revoke -- ${kid}`, 'yes')).code, 0);
      assert.notEqual(await kidOf('ES256'), kid);
    });

    it('"keys revoke" does nothing if it cannot ask, unless --yes is given', async () => {
      await startNode();
      const kid = await kidOf('RS256');
      const { code, err } = await run(`revoke -- ${kid}`);
      assert.equal(code, 1);
      assert.match(err, /there is no terminal to ask for confirmation: add --yes to continue without asking/);
      assert.equal(await kidOf('RS256'), kid);
      const { out } = await run(`revoke --yes --json -- ${kid}`);
      const signing = await kidOf('RS256');
      assert.deepEqual(JSON.parse(out), { revoked: kid, algorithm: 'RS256', signing });
      assert.ok(!(await run('export-public')).out.includes(kid));
    });

    it('The announced key signs once the current one is revoked', async () => {
      await startNode(-29.5);
      await startNode();
      const [kid, next] = [await kidOf('ES256'), await kidOf('ES256', 'announced')];
      const { out, err } = await run(`revoke --yes -- ${kid}`);
      assert.ok(err.includes(`  - ${next} signs from now on\n`));
      assert.equal(out, `revoked ${kid}; ${next} now signs ES256\n`);
    });

    it('"keys revoke" refuses an unknown key and suggests a similar one', async () => {
      await startNode();
      const kid = await kidOf('ES256');
      const { code, err } = await run(`revoke --yes -- ${kid.slice(0, -1)}`);
      assert.equal(code, 1);
      assert.match(err, new RegExp(`there is no key "[\\w-]{42}" \\(did you mean ${kid}\\?\\)`));
    });
  });

  describe('The action export-public', () => {
    it('"keys export-public" prints the key set as /jwks publishes it', async () => {
      await startNode();
      const { keys } = JSON.parse((await run('export-public')).out) as { keys: Record<string, string>[] };
      assert.deepEqual(
        keys.map(({ alg, use }) => [alg, use]),
        [
          ['ES256', 'sig'],
          ['RS256', 'sig'],
        ],
      );
    });
  });

  describe('Keys in an HSM', () => {
    let token: Pkcs11;

    /** The same configuration, with its keys in a token of its own. */
    function useHsm(change: Partial<Pkcs11> = {}): void {
      const { module, token: label } = { ...token, ...change };
      directory.write('pin', PIN);
      chmodSync(join(directory.path, 'pin'), 0o600);
      directory.write(
        'latchkey.yaml',
        `${config}keys:\n  signer: pkcs11\n  pkcs11: { module: ${module}, token: ${label}, pin: { file: pin } }\n`,
      );
    }

    before(() => {
      token = freshToken();
    });

    it('The key commands create the next keys in the HSM, show where each is, and destroy a revoked one there', async () => {
      await startNode();
      useHsm();
      const { code, err } = await run('rotate');
      assert.deepEqual([code, err], [0, '']);
      const made = await privateKeysIn(token);
      assert.equal(made.length, 2);
      const { out } = await run('list');
      assert.equal(out.match(/ {2}ring$/gm)?.length, 2);
      assert.deepEqual([...out.matchAll(/ {2}HSM: (\S+)$/gm)].map(([, name]) => name).toSorted(), made);

      const revoked = await run(`revoke --yes -- ${await kidOf('ES256', 'announced')}`);
      assert.equal(revoked.code, 0);
      assert.match(revoked.err, / {2}- its private key is destroyed in the HSM: key_\w+\n/);
      assert.equal((await privateKeysIn(token)).filter((name) => made.includes(name)).length, 1);
      assert.equal((await run('rewrap --yes')).code, 0);
      assert.match((await run('list')).out, / {2}HSM: \S+$/m);
    });

    it('"keys rotate" explains that the HSM is unavailable, and revoke still removes a leaked key', async () => {
      await startNode();
      useHsm({ token: 'no such token' });
      const { code, err } = await run('rotate');
      assert.equal(code, 1);
      assert.match(err, /keys\.pkcs11\.token "no such token" is not there: \S+ has "/);

      const kid = await kidOf('ES256');
      const revoked = await run(`revoke --yes -- ${kid}`);
      assert.equal(revoked.code, 0);
      assert.match(revoked.err, /keys\.pkcs11\.token "no such token" is not there/);
      assert.ok(!(await run('export-public')).out.includes(kid));
    });
  });

  describe('The action rewrap', () => {
    const read = (suffix = ''): string => readFileSync(masterFile(suffix), 'utf8');
    const publicKeys = async (): Promise<string> => (await run('export-public')).out;

    it('"keys rewrap" replaces the master key and changes no signing key', async () => {
      await startNode();
      const [before, present] = [await publicKeys(), read()];
      const { code, out, err } = await run('rewrap --yes');
      assert.equal(code, 0);
      assert.match(err, /^changing the master key\n {2}- the keys in the store are sealed under a new master key/);
      assert.match(out, /^keys\/master\.key is now the new master key, [\w-]{16}\./);
      assert.notEqual(read(), present);
      assert.equal(read('.old'), present);
      assert.equal(statSync(masterFile()).mode & 0o777, 0o600);
      assert.ok(!existsSync(masterFile('.new')));
      assert.equal(await publicKeys(), before);
      await startNode();

      copyFileSync(masterFile('.old'), masterFile());
      assert.match((await run('list')).err, /is not the master key of this store/);
    });

    it('"keys rewrap" can be repeated', async () => {
      await startNode();
      const before = await publicKeys();
      for (let n = 0; n < 3; n += 1) assert.equal((await run('rewrap --yes')).code, 0);
      assert.equal(await publicKeys(), before);
    });

    it('"keys rewrap" seals the keys under an existing or new key file, and leaves the files to the operator', async () => {
      await startNode();
      const [before, present] = [await publicKeys(), read()];
      const to = join(directory.path, 'next.key');
      assert.match((await run(`rewrap --yes --to ${to}`)).out, /^next\.key is now the master key/);
      assert.equal(read(), present);
      assert.equal((await run('list')).code, 1);
      copyFileSync(to, masterFile());
      assert.equal(await publicKeys(), before);
      assert.equal((await run(`rewrap --yes --to ${to}`)).code, 0, 'where it is sealed so already, nothing is lost');
    });

    it('"keys rewrap" changes nothing if the operator says no', async () => {
      await startNode();
      const present = read();
      assert.equal((await run('rewrap', '')).code, 1);
      assert.equal(read(), present);
      assert.equal((await run('list')).code, 0);
    });

    describe('An interrupted rewrap', () => {
      const next = () => openMasterKeyFile(masterFile('.new'), systemRandom);
      const reseal = () =>
        withStore(async (store) => resealRing(store, await openMasterKeyFile(masterFile()), await next()));
      /** What has been written when it is cut off, write by write. */
      const CUTS: Record<string, () => Promise<unknown>> = {
        'once the new key is there': next,
        'once the store is sealed under it': reseal,
        'once the present key has its second name': async () => {
          await reseal();
          linkSync(masterFile(), masterFile('.old'));
        },
      };
      for (const [moment, write] of Object.entries(CUTS)) {
        it(`A rewrap that is interrupted ${moment} leaves a usable ring, and a second run completes it`, async () => {
          await startNode();
          const before = await publicKeys();
          await write();
          const opening = await Promise.allSettled(
            ['', '.new'].map(async (suffix) => {
              const masterKey = await openMasterKeyFile(masterFile(suffix));
              await withStore((store) => ringRecords(store, masterKey).read());
            }),
          );
          assert.equal(opening.filter(({ status }) => status === 'fulfilled').length, 1);
          assert.equal((await run('rewrap --yes')).code, 0);
          assert.equal(await publicKeys(), before);
          assert.ok(!existsSync(masterFile('.new')));
        });
      }

      it('The start of a server explains that a rewrap was interrupted, and how to complete it', async () => {
        await startNode();
        await reseal();
        await assert.rejects(startNode(), (error) => {
          assert.ok(error instanceof Error);
          assert.match(
            error.message,
            /master\.key\.new, because "latchkey keys rewrap" was interrupted\. Run that command again/,
          );
          return true;
        });
      });

      it('A rewrap that is killed at any moment leaves a ring that one of the files opens', async function () {
        this.timeout(60_000);
        await startNode();
        const before = await publicKeys();
        const whole = systemClock.now();
        assert.equal((await directory.run(['keys', 'rewrap', '--yes'])).code, 0);
        const duration = systemClock.now() - whole;
        for (let n = 1; n <= 8; n += 1) {
          const command = directory.start(['keys', 'rewrap', '--yes']);
          await sleep(duration * (0.5 + n / 16));
          command.kill('SIGKILL');
          await command.ended;
          assert.ok(existsSync(masterFile()), 'there is always a master key in place');
          // Finishes what was begun, or does all of it.
          assert.equal((await run('rewrap --yes')).code, 0);
          assert.equal(await publicKeys(), before);
        }
      });
    });
  });

  const misunderstood: Record<string, string> = {
    '': 'keys needs an action: list, rotate, revoke, rewrap, export-public',
    lsit: 'there is no command "keys lsit" (did you mean list?)',
    'list now': 'keys list does not take "now": latchkey keys list [--json]',
    revoke: 'keys revoke needs a KID: latchkey keys revoke KID [--json] [--yes]',
    'revoke -abc': 'keys has no option -a; put an argument that begins with a dash after --',
    'list --yes': 'keys list does not take --yes: latchkey keys list [--json]',
    'rewrap --alg ES256': 'keys rewrap does not take --alg: latchkey keys rewrap [--json] [--yes] [--to FILE]',
    'rotate --to x': 'keys rotate does not take --to: latchkey keys rotate [--json] [--alg ALG]',
  };
  for (const [line, message] of Object.entries(misunderstood)) {
    it(`The program rejects "keys ${line}" with the reason and exit code 2`, async () => {
      const { code, err } = await directory.run(['keys', ...line.split(' ').filter(Boolean)]);
      assert.equal(code, 2);
      assert.equal(err, `latchkey: ${message}\n"latchkey help keys" shows its arguments\n`);
    });
  }
});
