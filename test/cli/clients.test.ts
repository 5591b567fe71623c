import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run as runLine } from '../../src/cli/run.ts';
import { printableStoreUrl } from '../../src/config/store-url.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { tokenRequest } from '../support/flows.ts';
import { makeStore } from '../support/made-store.ts';
import { freePort } from '../support/free-port.ts';
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

const FIRST = { JOB_SECRET: 'first-secret-k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE' };
const SECOND = { JOB_SECRET: 'second-secret-k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE' };

for (const backend of serverStores) {
  describe(`The command latchkey clients beside a running server on ${backend.name}`, function () {
    // A process for each command.
    this.timeout(60_000);
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
        CONFIG.replace('http://localhost:3000', issuer).replace(/^stores:.*\n/m, '') + listen,
      );
      directory.write('job.yaml', JOB);
      server = directory.start(['start'], { LATCHKEY_STORE: store.url });
      await server.printed(/"ready"/);
    });
    after(async () => {
      server.kill('SIGTERM');
      await server.ended;
      await store.stop();
      directory.remove();
    });

    const succeeds = async (line: string[], environment?: NodeJS.ProcessEnv): Promise<string> => {
      const { code, out, err } = await directory.run(line, { LATCHKEY_STORE: store.url, ...environment });
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

    it('A running server applies an added, replaced or removed client at once', async () => {
      const shown = printableStoreUrl(store.url);
      assert.deepEqual(await ask(FIRST), [401, 'invalid_client']);
      assert.equal(await succeeds(['clients', 'add', 'job.yaml'], FIRST), `added client "job" in ${shown}\n`);
      assert.deepEqual(await ask(FIRST), [200, 'notes:read']);

      assert.equal(await succeeds(['clients', 'add', 'job.yaml'], SECOND), `replaced client "job" in ${shown}\n`);
      assert.deepEqual(await ask(FIRST), [401, 'invalid_client']);
      assert.deepEqual(await ask(SECOND), [200, 'notes:read']);

      assert.equal(await succeeds(['clients', 'remove', 'job']), `removed client "job" from ${shown}\n`);
      assert.deepEqual(await ask(SECOND), [401, 'invalid_client']);
    });
  });
}

describe('The command latchkey clients', () => {
  let directory: WorkingDirectory;
  beforeEach(async () => {
    directory = new WorkingDirectory();
    await makeStore(`sqlite:${join(directory.path, 'store.db')}`);
    configure();
    directory.write('job.yaml', JOB);
  });
  afterEach(() => directory.remove());

  function configure(moreClients = ''): void {
    directory.write('latchkey.yaml', CONFIG.replace('store.db', join(directory.path, 'store.db')) + moreClients);
  }

  /** Runs the command in this process, on the files of the directory, whose own path is left out of what is printed. */
  async function run(line: string, environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const printed = { out: '', err: '' };
    const show = (text: string): string => `${text.replaceAll(`${directory.path}/`, '')}\n`;
    const words = line.split(' ').map((word) => (word.endsWith('.yaml') ? join(directory.path, word) : word));
    const code = await runLine(
      ['clients', ...words.filter(Boolean), '--config', join(directory.path, 'latchkey.yaml')],
      {
        environment,
        print: (text) => void (printed.out += show(text)),
        warn: (text) => void (printed.err += show(text)),
        ask: () => Promise.resolve(undefined),
        input: () => Promise.resolve(''),
      },
    );
    return { code, ...printed };
  }

  const listed = async (): Promise<Record<string, unknown>[]> =>
    JSON.parse((await run('list --json', FIRST)).out) as Record<string, unknown>[];

  const places = async (): Promise<string[]> =>
    (await listed()).map(({ client_id: id, where }) => `${String(id)}: ${String(where)}`);

  it('"clients list" shows the clients of the configuration and of the store in one table', async () => {
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

  it('"clients list --json" shows every setting without secrets and their hashes', async () => {
    await run('add job.yaml', FIRST);
    const [shop, job, ...others] = await listed();
    assert.deepEqual([shop?.['where'], shop?.['client_id'], others], ['configuration', 'shop', []]);
    assert.deepEqual(job, {
      client_id: 'job',
      client_name: 'Nightly job',
      type: 'machine',
      redirect_uris: [],
      post_logout_redirect_uris: [],
      allowed_origins: [],
      scopes: ['notes:read'],
      resources: [API],
      default_resource: API,
      first_party: false,
      introspection: false,
      where: 'store',
      disabled: false,
    });
  });

  it('A client’s name cannot send control characters to the terminal', async () => {
    directory.write('job.yaml', JOB.replace('Nightly job', '"a\\e[2Kb\\r\\nc\\u202E"'));
    await run('add job.yaml', FIRST);
    const { out } = await run('list');
    assert.match(out, /^job {8}machine {2}a\uFFFD\[2Kb\uFFFD\uFFFDc\uFFFD {2}store$/m);
  });

  it('"clients add" accepts several clients with secrets from files beside their file', async () => {
    mkdirSync(join(directory.path, 'apps'));
    directory.write('apps/job', 'of-the-file-k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE\n');
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

  it('"clients add" refuses a client with a weak secret', async () => {
    const { code, out, err } = await run('add job.yaml', { JOB_SECRET: 'abc' });
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /job\.yaml:4 {2}secret: client "job": can be guessed: .*; generate one with latchkey secret new/);
    assert.doesNotMatch((await run('list')).out, /job/);
  });

  it('"clients add" warns about a secret file that everybody can read, and adds the client', async () => {
    directory.write('secret', 'of-the-file-k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE');
    chmodSync(join(directory.path, 'secret'), 0o644);
    directory.write('job.yaml', JOB.replace('{ env: JOB_SECRET }', '{ file: secret }'));
    const { code, err } = await run('add job.yaml');
    assert.equal(code, 0);
    assert.match(
      err,
      /job\.yaml:4 {2}secret: client "job": every user of this machine may read secret; run chmod 600 on it/,
    );
  });

  it('"clients add" leaves no plain secret in the store', async () => {
    await run('add job.yaml', FIRST);
    const files = readdirSync(directory.path).filter((name) => name.startsWith('store.db'));
    const bytes = Buffer.concat(files.map((name) => readFileSync(join(directory.path, name))));
    assert.ok(bytes.includes('Nightly job'));
    assert.ok(!bytes.includes(FIRST.JOB_SECRET));
  });

  it('"clients add" adds no client of a file that has a problem, and opens no store', async () => {
    directory.write(
      'bad.yaml',
      `clients:\n  - ${JOB.trimEnd().replaceAll('\n', '\n    ')}\n  - { client_id: shop, client_name: Shop, type: spa }\n`,
    );
    const { code, out, err } = await run('add bad.yaml', FIRST);
    assert.deepEqual([code, out], [1, '']);
    assert.equal(
      err,
      `latchkey: bad.yaml has 2 problems:

  bad.yaml:9  clients[1].redirect_uris: client "shop": needs at least one address for type spa
  bad.yaml:9  clients[1].client_id: client "shop": is the id of a client in the configuration: change it there (it is "shop")
`,
    );
    assert.match(await run('list').then(({ out }) => out), /^client_id .*\nshop [^\n]*\n$/);
  });

  it('"clients add" names a missing file', async () => {
    const { code, err } = await run('add none.yaml');
    assert.equal(code, 1);
    assert.match(
      err,
      /^latchkey: none\.yaml has a problem:\n\n {2}cannot be read \(ENOENT\): .*none\.yaml does not exist; name an existing file\n$/,
    );
  });

  it('"clients remove" reports an unknown client, and explains how to remove one of the configuration', async () => {
    const none = await run('remove job');
    assert.deepEqual(none, { code: 1, out: '', err: 'latchkey: there is no client "job" in sqlite:store.db\n' });
    const { code, out, err } = await run('remove shop');
    assert.deepEqual([code, out], [1, '']);
    assert.equal(
      err,
      'latchkey: client "shop" is defined in the configuration: remove it from latchkey.yaml, restart the server, ' +
        'and run "latchkey revoke --client shop"\n',
    );
  });

  it('"clients remove" removes the stored client that a configured client has replaced', async () => {
    await run('add job.yaml', FIRST);
    configure(`  - ${JOB.trimEnd().replaceAll('\n', '\n    ')}\n`);
    assert.deepEqual(await places(), ['shop: configuration', 'job: configuration', 'job: store']);
    const { code, out } = await run('remove job', FIRST);
    assert.deepEqual([code, out], [0, 'removed client "job" from sqlite:store.db; latchkey.yaml still defines it\n']);
    assert.deepEqual(await places(), ['shop: configuration', 'job: configuration']);
  });

  it('"clients invite" prints an invitation token alone on standard output, and stores it nowhere in plain text', async () => {
    const { code, out, err } = await run('invite --uses 3 --expires 2h');
    assert.equal(code, 0);
    assert.match(out, /^[\w-]{43}\n$/);
    assert.equal(
      err,
      'this token registers 3 clients at http://localhost:3000/register within 2h; it is not shown again\n' +
        'latchkey: registration.enabled is not set, so nobody can use this token\n',
    );
    const files = readdirSync(directory.path).filter((name) => name.startsWith('store.db'));
    for (const name of files) assert.ok(!readFileSync(join(directory.path, name)).includes(out.trim()), name);
  });

  it('"latchkey clients" prints no store password', async () => {
    const { code, out, err } = await run('list', { LATCHKEY_STORE: 'redis://me:hunter2-the-long@127.0.0.1:1' });
    assert.equal(code, 1);
    assert.ok(!`${out}${err}`.includes('hunter2'), err);
  });

  const misunderstood: Record<string, string> = {
    '': 'clients needs an action: list, add, remove, disable, enable, roll-secret, invite',
    lsit: 'there is no command "clients lsit" (did you mean list?)',
    toString:
      'there is no command "clients toString" (actions: list, add, remove, disable, enable, roll-secret, invite)',
    add: 'clients add needs a FILE: latchkey clients add FILE',
    remove: 'clients remove needs a CLIENT_ID: latchkey clients remove CLIENT_ID',
    'list shop': 'clients list does not take "shop": latchkey clients list [--json]',
    'add job.yaml other.yaml': 'clients does not take "other.yaml" (did you mean --config other.yaml?)',
    'add job.yaml --json': 'clients add does not take --json: latchkey clients add FILE',
    'list --uses 2': 'clients list does not take --uses: latchkey clients list [--json]',
    'invite --uses 0': '--uses "0" must be a whole number from 1 to 10000',
    'invite --uses many': '--uses "many" must be a whole number from 1 to 10000',
    'invite --expires soon': '--expires "soon" must be a duration from 1s to 365d',
    'invite --expires 366d': '--expires "366d" must be a duration from 1s to 365d',
  };
  for (const [line, message] of Object.entries(misunderstood)) {
    it(`The program rejects "clients ${line}" with the reason and exit code 2`, async () => {
      const { code, out, err } = await run(line);
      assert.deepEqual([code, out], [2, '']);
      assert.equal(err, `latchkey: ${message}\n"latchkey help clients" shows its arguments\n`);
    });
  }
});
