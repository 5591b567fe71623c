import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OPERATOR } from '../../src/limits/lane.ts';
import { openPasswords } from '../../src/credentials/passwords.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';
import { command, type Said } from '../support/command.ts';
import { accountsOn } from '../support/domain.ts';
import { makeStore } from '../support/made-store.ts';
import { WorkingDirectory } from './latchkey.ts';

const REVOKED = `  - its access tokens are revoked; its apps stay signed in and get new ones
  - APIs that follow the status events refuse the access tokens within 1s, all other APIs within 10s
`;
const PASSWORD = 'plum cassette harbour';
const CONFIG = `issuer: http://localhost:3000
stores: { grants: 'sqlite:STORE' }
resources:
  - identifier: https://api.example.com
    name: API
    scopes: { 'orders:refund': { description: Refund orders, roles: [staff, admin] } }
`;

describe('The command latchkey accounts', () => {
  let directory: WorkingDirectory;
  before(async () => {
    directory = new WorkingDirectory();
    directory.write('latchkey.yaml', CONFIG.replace('STORE', 'store.db'));
    await makeStore(`sqlite:${join(directory.path, 'store.db')}`, 'configured', join(directory.path, 'keys'));
  });
  after(() => directory.remove());

  const run = (line: string, said?: Said) =>
    command(['accounts', ...line.split(' ').filter(Boolean), '--config', join(directory.path, 'latchkey.yaml')], said);

  /** Runs it where it has to succeed. @returns standard output */
  async function succeeds(line: string, said?: Said): Promise<string> {
    const { code, out, err } = await run(line, said);
    assert.equal(code, 0, out + err);
    return out;
  }

  async function fails(line: string, code: number, message: string, said?: Said): Promise<void> {
    const ended = await run(line, said);
    assert.deepEqual([ended.code, ended.out], [code, ''], ended.err);
    const shown = ended.err.replaceAll(`${directory.path}/`, '');
    assert.ok(shown.includes(message), shown);
  }

  async function inTheStore<T>(work: (parts: ReturnType<typeof openParts>) => Promise<T>): Promise<T> {
    const records = openSqliteStore(join(directory.path, 'store.db'), systemClock);
    return work(openParts(records, join(directory.path, 'keys'))).finally(() => records.close());
  }

  const isPassword = (email: string, password: string): Promise<boolean> =>
    inTheStore(async ({ accounts, passwords }) => {
      const account = await accounts.findByEmail(email);
      return (await passwords.verify(account?.id, password, OPERATOR)) === 'right';
    });

  const rolesOf = (email: string): Promise<readonly string[] | undefined> =>
    inTheStore(async ({ accounts }) => (await accounts.findByEmail(email))?.roles);

  describe('The action list', () => {
    it('"accounts list" of no accounts is an empty table or an empty JSON list', async () => {
      assert.equal(await succeeds('list'), 'email  name  roles  state  id\n');
      assert.deepEqual(JSON.parse(await succeeds('list --json')), []);
    });

    it('"accounts list" shows every account over many pages, or only those with a role', async () => {
      const made = await inTheStore(async ({ accounts }) => {
        for (let count = 0; count < 1003; count += 1) {
          const roles = count === 1001 ? ['user', 'auditor'] : [];
          await accounts.create({
            email: `n${count}@many.example.com`,
            name: `Nobody ${count}`,
            roles,
            origin: 'operator' as const,
          });
        }
        return accounts.findByEmail('n1001@many.example.com');
      });
      const lines = (await succeeds('list')).trimEnd().split('\n');
      assert.equal(lines.length, 1004);
      const row = /^n0@many\.example\.com +Nobody 0 +- +active +acc_\w+$/;
      assert.equal(lines.filter((line) => row.test(line)).length, 1);
      assert.equal(lines.filter((line) => line.startsWith('email ')).length, 1);
      const one = (await succeeds('list --role auditor')).trimEnd().split('\n');
      assert.deepEqual(one.slice(1), [`n1001@many.example.com  Nobody 1001  user,auditor  active  ${made?.id}`]);
      assert.deepEqual(JSON.parse(await succeeds('list --role auditor --json')), [made]);
      const all = JSON.parse(await succeeds('list --json')) as { email: string }[];
      assert.equal(new Set(all.map(({ email }) => email)).size, 1003);
    });
  });

  describe('The option --role of the list', () => {
    it('"accounts list" says that no account has the role, and whether the configuration mentions it', async () => {
      const { code, out, err } = await run('list --role stafff');
      assert.deepEqual([code, out], [0, 'email  name  roles  state  id\n']);
      assert.match(
        err,
        /^latchkey: no account in \S+ has the role "stafff", and the configuration does not mention it \(did you mean staff\?\); it mentions admin, staff, user\n$/,
      );
      const known = await run('list --role staff --json');
      assert.deepEqual([known.code, known.out], [0, '[]\n']);
      assert.match(known.err, /^latchkey: no account in \S+ has the role "staff"\n$/);
    });
  });

  describe('The action add', () => {
    it('"accounts add" asks for the password twice without showing it, and stores it nowhere in plain text', async () => {
      const { code, out, err, asked } = await run('add Ann@Example.com --name Ann', { answers: [PASSWORD, PASSWORD] });
      assert.deepEqual([code, err], [0, '']);
      assert.match(out, /^added account ann@example\.com in sqlite:.*store\.db: acc_\w+\n$/);
      assert.deepEqual(asked, ['(secretly) Password (empty for none): ', '(secretly) Repeat the password: ']);
      assert.ok(await isPassword('ann@example.com', PASSWORD));
      assert.deepEqual(await rolesOf('ann@example.com'), ['user']);
      for (const name of readdirSync(directory.path).filter((file) => file.startsWith('store.db')))
        assert.ok(!readFileSync(join(directory.path, name)).includes(PASSWORD), name);
    });

    it('"accounts add" records the account’s origin, and marks the address as verified if the operator says so', async () => {
      const claims = (email: string) =>
        inTheStore(async ({ accounts }) => {
          const account = await accounts.findByEmail(email);
          return [account?.origin, account?.emailVerified?.by];
        });
      await run('add uwe@example.com');
      await run('add vic@m\u00FCnchen.example --email-verified');
      assert.deepEqual(await claims('uwe@example.com'), ['operator', undefined]);
      assert.deepEqual(await claims('vic@xn--mnchen-3ya.example'), ['operator', 'operator']);
      assert.match(await succeeds('show uwe@example.com'), /^verified +no$/m);
      assert.match(await succeeds('verify uwe@example.com'), /^uwe@example\.com is verified\n/);
      assert.match(await succeeds('verify uwe@example.com'), /already verified, by the operator/);
      assert.deepEqual(await claims('uwe@example.com'), ['operator', 'operator']);
      assert.match(await succeeds('show uwe@example.com'), /^verified +\d.*, by the operator$/m);
    });

    it('"accounts verify" warns the operator about an account that somebody else created', async () => {
      await inTheStore(({ accounts }) =>
        accounts.create({ email: 'wim@example.com', name: 'Wim', roles: [], origin: 'sign-up' }),
      );
      assert.match(await succeeds('verify wim@example.com'), /"latchkey accounts password wim@example\.com"/);
    });

    it('"accounts add" reads the password from standard input or a file, even in a separate process', async () => {
      directory.write('secret', `${PASSWORD}\n`);
      await succeeds('add bea@example.com --password-file -', { input: `${PASSWORD}\r\n` });
      const ended = await directory.run(['accounts', 'add', 'cid@example.com', '--password-file', 'secret']);
      assert.deepEqual([ended.code, ended.err], [0, '']);
      assert.ok(await isPassword('bea@example.com', PASSWORD));
      assert.ok(await isPassword('cid@example.com', PASSWORD));
    });

    it('"accounts add" creates an account without a password if it cannot ask, and says how to set one', async () => {
      const { code, err } = await run('add dan@example.com');
      assert.equal(code, 0);
      assert.equal(
        err,
        'latchkey: the account has no password; "latchkey accounts password dan@example.com" sets one\n',
      );
    });

    it('"accounts add" refuses unsuitable and mistyped passwords', async () => {
      const short = { answers: ['short', 'short'] };
      await fails('add eve@example.com', 1, 'this password cannot be used. Use at least 15 characters.', short);
      await fails('add eve@example.com', 1, 'the two passwords differ', { answers: [PASSWORD, 'another'] });
      await fails('add eve@example.com --password-file -', 1, 'there is no password in standard input');
      assert.equal(await rolesOf('eve@example.com'), undefined);
    });

    it('"accounts add" leaves an existing account unchanged and asks for no password', async () => {
      await succeeds('add fay@example.com', { answers: [PASSWORD, PASSWORD] });
      const { code, err, asked } = await run('add FAY@example.com --roles admin', { answers: ['y', 'n', 'n'] });
      assert.deepEqual([code, asked], [1, []]);
      assert.match(err, /fay@example\.com already has an account in .*; "latchkey accounts show fay@example\.com"/);
      assert.ok(await isPassword('fay@example.com', PASSWORD));
      assert.deepEqual(await rolesOf('fay@example.com'), ['user']);
    });

    it('"accounts add" refuses addresses and names that the pages refuse', async () => {
      await fails('add ann', 2, '"ann" is not an email address');
      await fails('add gus@example.com --name \u202Etxt', 2, '--name "[U+202E]txt" must be 1 to 100 characters');
    });
  });

  describe('The actions add-role and remove-role', () => {
    before(() => succeeds('add rob@example.com'));

    it('"accounts add-role" and "remove-role" change one or several roles that the configuration names', async () => {
      const has = 'rob@example.com now has the roles';
      assert.equal(
        await succeeds('add-role rob@example.com staff,admin'),
        `${has} user, staff, admin; new tokens contain them\n`,
      );
      assert.equal(await succeeds('remove-role rob@example.com staff,user'), `${has} admin\n${REVOKED}`);
      assert.deepEqual(await rolesOf('rob@example.com'), ['admin']);
    });

    it('"accounts add-role" asks about a role that the configuration does not name, and suggests a similar one', async () => {
      await fails(
        'add-role rob@example.com stuff',
        1,
        'there is no terminal to ask for confirmation: add --yes to continue without asking',
      );
      await fails('add-role rob@example.com stuff', 1, 'does not mention the role "stuff" (did you mean staff?)', {
        answers: ['n'],
      });
      assert.deepEqual(await rolesOf('rob@example.com'), ['admin']);
      await succeeds('add-role rob@example.com stuff', { answers: ['y'] });
      await succeeds('remove-role rob@example.com stuff');
      await succeeds('add-role rob@example.com --yes stuff');
      assert.deepEqual(await rolesOf('rob@example.com'), ['admin', 'stuff']);
    });

    it('"accounts remove-role" refuses a role that the account does not have, because it may be mistyped', async () => {
      await fails(
        'remove-role rob@example.com admn',
        1,
        'has no role "admn" (did you mean admin?); it has admin, stuff',
      );
    });

    it('Role commands accept an account’s id, and say where to look for an unknown account', async () => {
      const id = await inTheStore(async ({ accounts }) => (await accounts.findByEmail('rob@example.com'))?.id);
      await succeeds(`add-role ${id} user`);
      await fails(
        'add-role bob@example.com user',
        1,
        'there is no account "bob@example.com" in sqlite:store.db; "latchkey accounts list"',
      );
    });
  });

  const misunderstood: Record<string, string> = {
    '': 'accounts needs an action: list, show, add,',
    lsit: 'there is no command "accounts lsit" (did you mean list?)',
    add: 'accounts add needs an EMAIL',
    'add-role ann@example.com': 'accounts add-role needs a ROLE',
    'list ann@example.com': 'accounts list does not take "ann@example.com"',
    'add ann@example.com bob@example.com': 'accounts add does not take "bob@example.com"',
    'add-role ann@example.com Admin': '"Admin" is not a valid role: use lower-case letters, digits, _ and -',
    'add ann@example.com --password=hunter2': 'accounts has no option --password',
  };
  for (const [line, message] of Object.entries(misunderstood)) {
    it(`The program rejects "accounts ${line}" with the reason and exit code 2`, () => fails(line, 2, message));
  }

  it('"accounts list" shows the control characters in the id of an unreadable account', async () => {
    const store = openSqliteStore(join(directory.path, 'store.db'), systemClock);
    const key = 'account:\u001b[2J';
    try {
      await store.set('account-email:x', { account: '\u001b[2J' });
      await store.set(key, { id: '\u001b[2J', claim: 'x', sealed: 'x', roles: [] }, { indexes: ['accounts'] });
      const { code, err } = await run('list');
      assert.deepEqual([code, err.includes('\u001b')], [1, false], err);
      assert.ok(err.includes('account [U+001B][2J cannot be opened'), err);
    } finally {
      for (const written of [key, 'account-email:x']) await store.delete(written);
      await store.close();
    }
  });
});

function openParts(records: ReturnType<typeof openSqliteStore>, keys: string) {
  const cost = { memory_kib: 19_456, passes: 2, parallelism: 1 };
  const clock = systemClock;
  return {
    accounts: accountsOn(records, keys),
    passwords: openPasswords({
      records,
      clock,
      random: systemRandom,
      argon2: cost,
      minLength: 15,
      service: 'Latchkey',
    }),
  };
}
