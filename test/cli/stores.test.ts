import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, type Said } from '../support/command.ts';
import { makeStore } from '../support/made-store.ts';
import { command as redisCommand, startRedis } from '../support/redis.ts';
import { WorkingDirectory } from './latchkey.ts';

const FILE = 'issuer: http://localhost:3000\npasswords: { min_length: 8 }\nbranding: { name: Acme }\n';
const COMMANDS = [
  ...['accounts list', 'accounts add ann@example.com', 'clients list', 'clients invite', 'issuers list', 'keys list'],
  ...['keys rotate', 'revoke --everything --yes'],
];

describe('The store of a command', () => {
  let directory: WorkingDirectory;
  let file: string;
  let database: string;

  beforeEach(() => {
    directory = new WorkingDirectory();
    mkdirSync(join(directory.path, 'etc'));
    directory.write('etc/latchkey.yaml', FILE);
    file = join(directory.path, 'etc/latchkey.yaml');
    database = join(directory.path, 'etc/.latchkey/latchkey.db');
  });
  afterEach(() => directory.remove());

  const run = (line: string, said: Said = {}) => command([...line.split(' '), '--config', file], said);

  for (const line of COMMANDS) {
    it(`The command "${line}" creates no store, and says where it looked and how to create one`, async () => {
      const { code, out, err } = await run(line);
      const how = `start the server once to create it: latchkey start --config ${file}; or restore a backup into it: latchkey store restore`;
      assert.equal(err, `latchkey: there is no store at sqlite:${database} (stores.grants in ${file}): ${how}\n`);
      assert.deepEqual([code, out, readdirSync(join(directory.path, 'etc'))], [1, '', ['latchkey.yaml']]);
    });
  }

  it('A command does not write to an empty Redis', async () => {
    const redis = await startRedis({ appendonly: true });
    try {
      const environment = { LATCHKEY_RECORDS_STORE: redis.url };
      await makeStore(`sqlite:${database}`);
      const { code, err } = await run('accounts add ann@example.com', { environment });
      assert.equal(code, 1);
      const place = `${redis.url} (stores.records in ${file})`;
      assert.match(err, new RegExp(`^latchkey: there is no store at ${place.replaceAll(/[()./]/g, '\\$&')}: `));
      const port = Number(new URL(redis.url).port);
      assert.equal(await redisCommand(port, (client) => client.dbsize()), 0);
    } finally {
      await redis.stop();
    }
  });

  it('A command finds the store beside the configuration file, whatever its working directory', async () => {
    await makeStore(`sqlite:${database}`, 'configured', join(directory.path, 'etc/keys'));
    const password = { input: 'plum cassette harbour' };
    const added = await run('accounts add ann@example.com --password-file -', password);
    assert.deepEqual([added.code, added.err], [0, '']);
    assert.ok(added.out.includes(`in sqlite:${database}`), added.out);
    const elsewhere = await directory.run(['accounts', 'list', '--config', 'etc/latchkey.yaml']);
    assert.match(elsewhere.out, /^ann@example\.com /m);
    assert.ok(!existsSync(join(directory.path, '.latchkey')));
  });

  it('A command uses the store of the demo if there is no configuration, and says so', async () => {
    const none = await directory.run(['accounts', 'list']);
    assert.match(
      none.err,
      /^latchkey: there is no latchkey\.yaml in this folder, and the demo has no store yet \(sqlite:.*\/demo\/latchkey\.db\): name your configuration with --config FILE, or start the demo/,
    );
    assert.ok(!existsSync(join(directory.path, '.latchkey')));
    await makeStore(`sqlite:${join(directory.path, '.latchkey/demo/latchkey.db')}`, 'demo');
    const { code, out, err } = await directory.run(['accounts', 'list']);
    assert.equal(
      err,
      'latchkey: this is the store of the demo (sqlite:.latchkey/demo/latchkey.db); name your own configuration with --config FILE\n',
    );
    assert.deepEqual([code, out], [0, 'email  name  roles  state  id\n']);
  });

  it('A command opens neither a demo store with a configuration nor a configured store without one', async () => {
    await makeStore(`sqlite:${database}`, 'demo');
    const foreign = await run('accounts list');
    assert.match(foreign.err, /was created by the demo, .*a configured server does not open it/);
    assert.deepEqual([foreign.code, foreign.out], [1, '']);
    const own = join(directory.path, 'own.db');
    await makeStore(`sqlite:${own}`);
    const ended = await command(['accounts', 'list'], { environment: { LATCHKEY_STORE: `sqlite:${own}` } });
    assert.match(ended.err, /was created by a configured server/);
    assert.deepEqual([ended.code, ended.out], [1, '']);
  });

  it('A command refuses the demo password for an account', async () => {
    await makeStore(`sqlite:${database}`, 'configured', join(directory.path, 'etc/keys'));
    const refusal = 'This is the password of the Latchkey demo, which everybody knows. Choose another.';
    for (const input of ['latchkey-demo', 'Latchkey-Demo\n']) {
      const { code, err } = await run('accounts add ann@example.com --password-file -', { input });
      assert.deepEqual([code, err.includes('latchkey help')], [1, false]);
      assert.ok(err.includes(refusal), err);
    }
    await run('accounts add ann@example.com --password-file -', { input: 'plum cassette harbour' });
    const { err } = await run('accounts password ann@example.com --password-file -', { input: 'latchkey-demo' });
    assert.ok(err.includes(refusal), err);
  });

  it('A command opens a store without the secrets, certificates and HSM that it does not use', async () => {
    directory.write(
      'etc/latchkey.yaml',
      `issuer: https://login.example.com
listen: { tls: { cert: cert.pem, key: key.pem } }
keys: { pkcs11: { module: hsm.so, token: a, pin: { env: PIN } } }
clients:
  - { client_id: shop, client_name: Shop, type: web, secret: { env: SHOP }, redirect_uris: ['https://shop.example.com/'] }
  - { client_id: job, client_name: Job, type: machine, secret: { file: job }, previous_secret: { env: OLD } }
accounts: [{ email: ann@example.com, name: Ann, password: { env: ANN } }]
`,
    );
    await makeStore(`sqlite:${database}`);
    for (const line of ['accounts list', 'clients list --json', 'issuers list', 'clients disable shop']) {
      const { code, err } = await run(line);
      assert.deepEqual([code, err], [0, ''], line);
    }
    const { code, err } = await run('check-config');
    assert.equal(code, 1);
    for (const name of ['SHOP', 'OLD', 'ANN', 'PIN', '/job']) assert.ok(err.includes(name), err);
  });
});
