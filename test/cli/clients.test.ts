import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { tokenRequest } from '../support/flows.ts';
import { freePort } from '../support/server.ts';
import { WorkingDirectory, type Ended, type Process } from './latchkey.ts';

const API = 'https://api.example.com';

const CONFIG = `issuer: http://localhost:3000
stores: { grants: 'sqlite:store.db' }
resources:
  - identifier: ${API}
    name: API
    scopes: { 'notes:read': { description: Read notes } }
clients:
  - { client_id: shop, client_name: Shop, type: spa, redirect_uris: ['https://shop.example.com/callback'] }
`;

const JOB = `client_id: job
client_name: Nightly job
type: machine
secret: { env: JOB_SECRET }
scopes: ['notes:read']
resources: [${API}]
default_resource: ${API}
`;

const FIRST = { JOB_SECRET: 'first-secret-0123456789' };
const SECOND = { JOB_SECRET: 'second-secret-0123456789' };

for (const backend of serverStores) {
  describe(`latchkey clients, beside a server that runs on ${backend.name}`, function () {
    // A process for each command.
    this.timeout(30_000);
    const directory = new WorkingDirectory();
    let store: RunningBackend;
    let server: Process;
    let issuer: string;

    before(async () => {
      store = await backend.start();
      const port = await freePort();
      issuer = `http://localhost:${port}`;
      await openMasterKey(join(directory.path, 'keys'), { create: true, random: systemRandom });
      const listen = `listen: { port: ${port} }\nlog: { format: json }\n`;
      directory.write(
        'latchkey.yaml',
        CONFIG.replace('http://localhost:3000', issuer).replace('sqlite:store.db', store.url) + listen,
      );
      directory.write('job.yaml', JOB);
      server = directory.start(['start']);
      await server.printed(/"ready"/);
    });
    after(async () => {
      server.kill('SIGTERM');
      await server.ended;
      await store.stop();
      directory.remove();
    });

    const succeeds = async (line: string[], environment?: NodeJS.ProcessEnv): Promise<string> => {
      const { code, out, err } = await directory.run(line, environment);
      assert.deepEqual([code, err], [0, '']);
      return out;
    };

    const ask = async ({ JOB_SECRET: secret }: typeof FIRST): Promise<unknown[]> => {
      const { status, body } = await tokenRequest(
        issuer,
        { grant_type: 'client_credentials', scope: 'notes:read' },
        `job:${secret}`,
      );
      return [status, body['error'] ?? body['scope']];
    };

    it('lets a client in at once, changes its secret at once, and shuts it out at once', async () => {
      assert.deepEqual(await ask(FIRST), [401, 'invalid_client']);
      assert.equal(await succeeds(['clients', 'add', 'job.yaml'], FIRST), `added client "job" in ${store.url}\n`);
      assert.deepEqual(await ask(FIRST), [200, 'notes:read']);

      assert.equal(await succeeds(['clients', 'add', 'job.yaml'], SECOND), `replaced client "job" in ${store.url}\n`);
      assert.deepEqual(await ask(FIRST), [401, 'invalid_client']);
      assert.deepEqual(await ask(SECOND), [200, 'notes:read']);

      assert.equal(await succeeds(['clients', 'remove', 'job']), `removed client "job" from ${store.url}\n`);
      assert.deepEqual(await ask(SECOND), [401, 'invalid_client']);
    });
  });
}

describe('latchkey clients', function () {
  this.timeout(30_000);
  let directory: WorkingDirectory;
  beforeEach(() => {
    directory = new WorkingDirectory();
    directory.write('latchkey.yaml', CONFIG);
    directory.write('job.yaml', JOB);
  });
  afterEach(() => directory.remove());

  const run = (line: string, environment?: NodeJS.ProcessEnv): Promise<Ended> =>
    directory.run(['clients', ...line.split(' ')], environment);

  const listed = async (): Promise<Record<string, unknown>[]> =>
    JSON.parse((await run('list --json')).out) as Record<string, unknown>[];

  it('lists those of the configuration and those of the store in one table', async () => {
    await run('add job.yaml', FIRST);
    const { code, out, err } = await run('list');
    assert.deepEqual([code, err], [0, '']);
    assert.equal(
      out,
      `client_id  type     name         where
shop       spa      Shop         configuration
job        machine  Nightly job  store
`,
    );
  });

  it('lists every setting as JSON, without secrets and their hashes', async () => {
    await run('add job.yaml', FIRST);
    const [shop, job, ...others] = await listed();
    assert.deepEqual([shop?.['where'], shop?.['client_id'], others], ['configuration', 'shop', []]);
    assert.deepEqual(job, {
      client_id: 'job',
      client_name: 'Nightly job',
      type: 'machine',
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [],
      post_logout_redirect_uris: [],
      allowed_origins: [],
      scopes: ['notes:read'],
      resources: [API],
      default_resource: API,
      first_party: false,
      id_token_signing_alg: 'ES256',
      introspection: false,
      where: 'store',
    });
  });

  it('keeps a name from writing over the terminal', async () => {
    directory.write('job.yaml', JOB.replace('Nightly job', '"a\\e[2Kb\\r\\nc\\u202E"'));
    await run('add job.yaml', FIRST);
    const { out } = await run('list');
    assert.match(out, /^job {8}machine {2}a\uFFFD\[2Kb\uFFFD\uFFFDc\uFFFD {2}store$/m);
  });

  it('adds several at once, with secrets from files beside the one that names them', async () => {
    mkdirSync(join(directory.path, 'apps'));
    directory.write('apps/job', 'of-the-file-0123456789\n');
    chmodSync(join(directory.path, 'apps/job'), 0o600);
    const items = [JOB.replace('{ env: JOB_SECRET }', '{ file: job }'), JOB.replace('id: job', 'id: other')];
    directory.write(
      'apps/all.yaml',
      `clients:\n${items.map((item) => `  - ${item.trimEnd().replaceAll('\n', '\n    ')}\n`).join('')}`,
    );
    const { code, out, err } = await run('add apps/all.yaml', FIRST);
    assert.deepEqual([code, err], [0, '']);
    assert.equal(out, 'added client "job" in sqlite:store.db\nadded client "other" in sqlite:store.db\n');
  });

  it('warns of a secret that everybody may read, and adds the client', async () => {
    directory.write('secret', 'of-the-file-0123456789');
    chmodSync(join(directory.path, 'secret'), 0o644);
    directory.write('job.yaml', JOB.replace('{ env: JOB_SECRET }', '{ file: secret }'));
    const { code, err } = await run('add job.yaml');
    assert.equal(code, 0);
    assert.match(err, /job\.yaml:4 {2}secret: client "job": everybody on this machine may read secret; chmod 600 it/);
  });

  it('leaves no secret in the store', async () => {
    await run('add job.yaml', FIRST);
    for (const name of readdirSync(directory.path).filter((file) => file.startsWith('store.db')))
      assert.ok(!readFileSync(join(directory.path, name)).includes(FIRST.JOB_SECRET), name);
  });

  it('names every problem of a file with its line and its client, and adds none of the sound ones', async () => {
    directory.write(
      'bad.yaml',
      `clients:
  - { client_id: sound, client_name: Sound, type: spa, redirect_uris: ['https://app.example/callback'] }
  - { client_id: shop, client_name: Impostor, type: spa, redirect_uris: ['https://evil.example/callback'] }
  - client_id: job
    client_name: Job
    type: machine
    secret: in-the-clear
    scopes: [notes:write]
    resources: [${API}, https://other.example.com]
  - { client_id: sound, client_name: Twice, type: spb, redirect_uris: ['https://app.example/*'] }
  - { client_id: last, client_name: Last, type: web, secret: { env: NOT_SET }, redirect_uris: ['http://app.example'], frst_party: true }
`,
    );
    const { code, out, err } = await run('add bad.yaml');
    assert.deepEqual([code, out], [1, '']);
    assert.equal(
      err,
      `latchkey: bad.yaml has 9 problems:

  bad.yaml:3   clients[1].client_id: client "shop": is the name of a client of the configuration: change it there
  bad.yaml:7   clients[2].secret: client "job": a secret may not stand in this file; write { file: PATH } or { env: NAME }
  bad.yaml:9   clients[2].resources[1]: client "job": is not under resources
  bad.yaml:10  clients[3].type: client "sound": must be one of spa, web, machine (did you mean spa?)
  bad.yaml:10  clients[3].redirect_uris[0]: client "sound": must not have a wildcard; list every address
  bad.yaml:10  clients[3].client_id: client "sound": is the client_id of clients[0] already
  bad.yaml:11  clients[4].secret: client "last": the environment variable NOT_SET is not set
  bad.yaml:11  clients[4].redirect_uris[0]: client "last": must be https: http is for loopback addresses only
  bad.yaml:11  clients[4].frst_party: client "last": is not a setting (did you mean first_party?)
`,
    );
    assert.deepEqual(
      (await listed()).map((client) => client['client_id']),
      ['shop'],
    );
  });

  const faulty: Record<string, [string, string]> = {
    'a scope that no resource of the client has': [
      JOB.replace("'notes:read'", "'notes:raed'"),
      ':5  scopes[0]: client "job": is a scope of none of its resources (did you mean notes:read?)',
    ],
    'an empty file': ['', 'must be a client, or a list of them under clients'],
    'a list without its name': [
      `- ${JOB.replaceAll('\n', '\n  ')}`,
      'must be a client, or a list of them under clients',
    ],
    'a list of none': ['clients: []', ':1  clients: needs at least one client'],
    'clients that are no list': ['clients: { job: 1 }', ':1  clients: must be a list'],
    'clients that are no mappings': ['clients: [job]', ':1  clients[0]: must be a mapping'],
    'a whole configuration': [CONFIG, ':1  issuer: is not a setting'],
    'what is not YAML': ['client_id: "job', 'is not YAML'],
    'a setting that is written twice': [`${JOB}type: web\n`, ':8  this key is written twice in one mapping; keep one'],
    'a hash in place of the secret': [`${JOB}secret_hash: a.b\n`, ':8  secret_hash: client "job": is not a setting'],
    'an app at https on its own device': [
      "{ client_id: app, client_name: App, type: spa, redirect_uris: ['com.example.app:/cb', 'https://localhost/cb'] }",
      'redirect_uris[1]: client "app": must be http for a native app',
    ],
    'an app at a loopback name of its own': [
      "{ client_id: app, client_name: App, type: spa, redirect_uris: ['http://127.0.0.1/cb'], post_logout_redirect_uris: ['http://app.localhost/'] }",
      'post_logout_redirect_uris[0]: client "app": must be at 127.0.0.1, [::1] or localhost for a native app',
    ],
  };
  for (const [what, [text, problem]] of Object.entries(faulty)) {
    it(`refuses ${what}`, async () => {
      directory.write('bad.yaml', text);
      const { code, out, err } = await run('add bad.yaml', FIRST);
      assert.deepEqual([code, out], [1, '']);
      assert.ok(err.includes(problem), err);
    });
  }

  it('names a file that is not there', async () => {
    const { code, err } = await run('add none.yaml');
    assert.deepEqual([code, err], [1, 'latchkey: none.yaml has a problem:\n\n  cannot be read (ENOENT)\n']);
  });

  it('says that there is nothing to remove, and where one of the configuration is removed', async () => {
    const none = await run('remove job');
    assert.deepEqual(none, { code: 1, out: '', err: 'latchkey: there is no client "job" in sqlite:store.db\n' });
    const { code, out, err } = await run('remove shop');
    assert.deepEqual([code, out], [1, '']);
    assert.equal(
      err,
      'latchkey: client "shop" is of the configuration: remove it from latchkey.yaml and start the server again\n',
    );
  });

  it('removes what stands in the store behind a client that the configuration was given later', async () => {
    await run('add job.yaml', FIRST);
    directory.write('latchkey.yaml', `${CONFIG}  - ${JOB.trimEnd().replaceAll('\n', '\n    ')}\n`);
    assert.deepEqual(
      (await listed()).map(({ client_id: id, where }) => [id, where]),
      [
        ['shop', 'configuration'],
        ['job', 'configuration'],
        ['job', 'store'],
      ],
    );
  });

  it('prints no password of a store', async () => {
    const { code, out, err } = await run('list', { LATCHKEY_STORE: 'redis://me:hunter2-the-long@127.0.0.1:1' });
    assert.equal(code, 1);
    assert.ok(!`${out}${err}`.includes('hunter2'), err);
  });

  const misunderstood: Record<string, string> = {
    '': 'clients needs one of list, add, remove',
    lsit: 'clients does not "lsit" (did you mean list?)',
    toString: 'clients does not "toString"',
    add: 'clients add needs a FILE',
    remove: 'clients remove needs a CLIENT_ID',
    'list shop': 'clients list does not take "shop"',
    'add job.yaml other.yaml': 'clients does not take "other.yaml"',
    'add job.yaml --json': 'clients add does not take --json',
  };
  for (const [line, message] of Object.entries(misunderstood)) {
    it(`does not understand "clients ${line}", says so and ends with 2`, async () => {
      const { code, out, err } = await directory.run(['clients', ...line.split(' ').filter(Boolean)]);
      assert.deepEqual([code, out], [2, '']);
      assert.equal(err, `latchkey: ${message}\n"latchkey help" shows what there is\n`);
    });
  }
});
