import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createVerifier } from '../../src/resource-server/resource-server.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { postgres, type RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { startDemoProcess } from '../support/demo-process.ts';
import { answerAtOnce, authorizationRequest, exchangeCode, refresh, tokensFor } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { proxies, type Proxy } from './proxies.ts';

const MINUTE = 60_000;
const API = 'https://api.example';
const PASSWORD = 'a long phrase of the people here';
const NAMES = ['ada', 'grace', 'barbara'];
const SCOPE = 'openid profile email offline_access';
/** Two health checks and more: proxies.ts checks each half second. */
const DRAIN_DELAY = '2s';
/** Milliseconds in which a proxy sees that a node is back. */
const NOTICED = 1000;

const settings = (port: number): string => `
issuer: http://localhost:${port}
listen: { trusted_proxies: [127.0.0.1] }
log: { level: warn, format: json }
resources: [{ identifier: '${API}', name: API, scopes: { 'notes:read': { description: Read } } }]
clients:
  - client_id: demo-notes
    client_name: Notes
    type: spa
    first_party: true
    redirect_uris: ['http://localhost:${port + 1}/callback']
    scopes: [openid, profile, email, offline_access, 'notes:read']
    resources: ['${API}']
accounts:
${NAMES.map((name) => `  - { email: ${name}@example.com, name: ${name}, password: { env: PEOPLE } }`).join('\n')}
`;

/** A person who has signed in once, with what their browser and their app got then. */
class SignedIn {
  readonly #issuer: string;
  readonly #browser = new Browser();
  /** One that the server looks up, and one that APIs verify. */
  #accessTokens: string[] = [];
  #refreshToken = '';

  private constructor(issuer: string) {
    this.#issuer = issuer;
  }

  static async signIn(issuer: string, name: string): Promise<SignedIn> {
    const person = new SignedIn(issuer);
    const options = {
      person: { email: `${name}@example.com`, password: PASSWORD, remember: 'yes' as const },
      browser: person.#browser,
    };
    const own = await tokensFor(issuer, { ...options, parameters: { scope: SCOPE } });
    const forApi = await tokensFor(issuer, { ...options, parameters: { scope: 'openid notes:read', resource: API } });
    person.#accessTokens = [own['access_token'] ?? '', forApi['access_token'] ?? ''];
    person.#refreshToken = own['refresh_token'] ?? '';
    return person;
  }

  /** Uses the session, both access tokens and the refresh token. Nobody types anything. */
  async stay(): Promise<void> {
    const request = authorizationRequest(this.#issuer, 'demo-notes', { prompt: 'none', scope: SCOPE });
    const answer = await answerAtOnce(this.#browser, request);
    assert.ok('code' in answer, JSON.stringify(answer));
    const callback = new URL(`${request.redirectUri}?${new URLSearchParams(answer).toString()}`);
    assert.equal((await exchangeCode(this.#issuer, request, callback)).status, 200);
    const renewed = await refresh(this.#issuer, this.#refreshToken);
    assert.equal(renewed.status, 200, JSON.stringify(renewed.body));
    this.#refreshToken = String(renewed.body['refresh_token']);
    const [own = '', forApi = ''] = this.#accessTokens;
    const userinfo = await fetch(`${this.#issuer}/userinfo`, { headers: { authorization: `Bearer ${own}` } });
    assert.equal(userinfo.status, 200, await userinfo.text());
    const verifier = createVerifier({ issuer: this.#issuer, audience: API });
    await verifier.verify(forApi);
    verifier.close();
  }
}

describe('An installation that grows from SQLite to two nodes on PostgreSQL and Redis', function () {
  this.timeout(5 * MINUTE);
  const directory = new WorkingDirectory();
  const sqlite = `sqlite:${directory.path}/production.db`;
  const stores: RunningBackend[] = [];
  const people: SignedIn[] = [];
  const nodes = new Map<number, Process>();
  let port: number;
  let issuer: string;
  let proxy: Proxy | undefined;

  before(async () => {
    port = await freePort(4);
    issuer = `http://localhost:${port}`;
  });
  after(async () => {
    for (const node of nodes.values()) node.kill('SIGKILL');
    await proxy?.close();
    for (const store of stores) await store.stop();
    directory.remove();
  });

  async function startNode(at: number, grants: string, records = grants): Promise<void> {
    const node = directory.start(['start', '--config', 'production.yaml'], {
      LATCHKEY_PORT: String(at),
      LATCHKEY_STORE: grants,
      LATCHKEY_RECORDS_STORE: records,
      LATCHKEY_DRAIN_DELAY: DRAIN_DELAY,
      PEOPLE: PASSWORD,
    });
    nodes.set(at, node);
    const ended = node.ended.then(({ err, out }) => Promise.reject(new Error(`a node ended: ${err}${out}`)));
    const ready = until(async () => {
      const answer = await fetch(`http://127.0.0.1:${at}/readyz`).catch(() => undefined);
      await answer?.arrayBuffer();
      return answer?.status === 200;
    }, MINUTE);
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
  }

  async function stopNode(at: number): Promise<void> {
    nodes.get(at)?.kill('SIGTERM');
    const { code, err } = (await nodes.get(at)?.ended) ?? {};
    assert.equal(code, 0, err);
    nodes.delete(at);
  }

  async function started(starting: Promise<RunningBackend>): Promise<string> {
    const store = await starting;
    stores.push(store);
    return store.url;
  }

  /** Copies as the documents say. Until 20 seconds after its stop, the command says that a server uses the store. */
  async function copy(from: string, to: string, part?: 'records' | 'grants'): Promise<void> {
    const line = ['store', 'copy', ...(part === undefined ? [] : ['--only', part])];
    // The command takes a URL with a password only from the environment or a file.
    const urls = { LATCHKEY_COPY_FROM: from, LATCHKEY_COPY_TO: to };
    await until(async () => {
      const { code, out, err } = await directory.run(line, urls);
      if (err.includes('a server uses')) return false;
      assert.equal(code, 0, err);
      assert.match(out, /items are equal in both/);
      return true;
    }, MINUTE);
  }

  async function everybodyStays(): Promise<void> {
    assert.equal(people.length, NAMES.length);
    await Promise.all(people.map((person) => person.stay()));
  }

  it('The demo leaves nothing that production must take over', async () => {
    const demo = await startDemoProcess(directory.path, port);
    try {
      await tokensFor(issuer);
    } finally {
      assert.equal(await demo.interrupt(), 0);
    }
  });

  it('The server starts production on SQLite, where people sign in', async () => {
    directory.write('production.yaml', settings(port));
    await openMasterKey(`${directory.path}/keys`, { create: true, random: systemRandom });
    await startNode(port, sqlite);
    for (const name of NAMES) people.push(await SignedIn.signIn(issuer, name));
    await everybodyStays();
  });

  it('The server moves to Redis, and nobody has to sign in again', async () => {
    const redis = await started(startRedis({ appendonly: true }));
    await stopNode(port);
    await copy(sqlite, redis);
    await startNode(port, redis);
    await everybodyStays();
  });

  it('The server moves to PostgreSQL and another Redis, and nobody has to sign in again', async () => {
    const [records, grants] = [await started(postgres.start()), await started(startRedis({ appendonly: true }))];
    await stopNode(port);
    const former = stores[0]?.url ?? '';
    await copy(former, records, 'records');
    await copy(former, grants, 'grants');
    await startNode(port, grants, records);
    await everybodyStays();
  });

  it('A second node joins behind a proxy, and both nodes are replaced while people use the server', async () => {
    const [, records = '', grants = ''] = stores.map(({ url }) => url);
    await stopNode(port);
    const places = [port + 2, port + 3];
    for (const at of places) await startNode(at, grants, records);
    proxy = await proxies['haproxy']?.(port, places);
    await sleep(NOTICED);
    await everybodyStays();

    let isOver = false;
    let rounds = 0;
    const load = Promise.all(
      people.map(async (person) => {
        for (; !isOver; rounds += 1) await person.stay();
      }),
    );
    const replacing = async () => {
      for (const at of places) {
        const before = rounds;
        await stopNode(at);
        await startNode(at, grants, records);
        await sleep(NOTICED);
        assert.ok(rounds > before, 'nobody was served meanwhile');
      }
    };
    await Promise.race([load, replacing()]).finally(() => (isOver = true));
    await load;
    await everybodyStays();
    console.log(`      ${rounds} times somebody used everything that they had`);
  });
});
