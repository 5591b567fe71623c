import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { twoServerStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { Browser, formOf } from '../support/browser.ts';
import { authorizationRequest, signIn, type AuthorizationRequest, type Person } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { command } from '../support/redis.ts';
import { until } from '../support/until.ts';
import type { FloodCounts, FloodPlan } from './raw-flood.ts';

const RATE = 500;
const SECONDS = Number(process.env['FLOOD_SECONDS'] ?? 60);
/** Sign-ins before the flood, so that the slowest hundredth is more than one. */
const USUAL = 250;
/** Each signs in by turns, so that none reaches what one account may do in a minute. */
const OWNERS: readonly Person[] = ['ann', 'ben', 'cleo', 'dan'].map((name) => ({
  email: `${name}@example.com`,
  password: 'plum cassette harbour',
}));
/** Milliseconds from the begin of one sign-in to the next. */
const PACE = 120;
/** Forms that the guesses are sent by: of one form, one guess is looked at at a time. */
const FORMS = 50;
const FLOOD = join(import.meta.dirname, 'raw-flood.ts');
/** Twice the usual time is what a quiet machine with two processors shows; this bound is for any machine. */
const SLOWEST = 10;

const MIB = 1024 * 1024;
/** What docs/security.md says of unopened sign-ins and of guesses: of one address, and of all together in a minute. */
const MOST = { 'one block': 3 * MIB, '1,000 blocks': (64 + 2) * MIB };
/** What docs/stores.md says of the log beside an SQLite file. */
const LOG = 16 * MIB;

for (const store of twoServerStores) {
  describe(`A flood of ${RATE} anonymous requests a second on ${store.name}`, function () {
    this.timeout((SECONDS * 3 + 240) * 1000);
    let backend: RunningBackend;
    let server: FloodedServer;

    beforeEach(async () => {
      backend = await store.start();
      server = await FloodedServer.start(backend.url);
    });
    afterEach(async () => {
      await server.stop();
      await backend.stop();
    });

    for (const [from, blocks] of [
      ['one block', 1],
      ['1,000 blocks', 1000],
    ] as const) {
      it(`A flood from ${from} lets known devices sign in, and grows the store no more than documented`, async () => {
        const empty = await server.storeSize();
        const usual = await server.signIns((count) => count === USUAL);
        const forms = await server.openForms();
        const before = await server.storeSize();
        const flood = server.flood({ blocks, forms });
        const end = performance.now() + SECONDS * 1000;
        await pause(2000);
        const flooded = await server.signIns(() => performance.now() > end - 2000);
        const counts = await flood;
        const own = ((before - empty) / usual.length) * flooded.length;
        const growth = (await server.storeSize()) - before - own;

        const [idle, under] = [figures(usual), figures(flooded)];
        const ratio = under.p99 / idle.p99;
        console.log(`      idle ${inWords(idle)}; flooded ${inWords(under)}; p99 ${ratio.toFixed(1)} times`);
        console.log(
          `      the store grew by ${(growth / MIB).toFixed(1)} MiB, and ${(own / MIB).toFixed(1)} MiB by these sign-ins, its log has ${(server.logSize() / MIB).toFixed(1)} MiB; ${JSON.stringify(counts)}`,
        );
        const sent = Object.values(counts).reduce((sum, count) => sum + count, 0);
        assert.equal(sent, RATE * SECONDS);
        assert.ok((counts['sign-in 503'] ?? 0) + (counts['sign-in 429'] ?? 0) > 0, 'no guess was refused');
        assert.ok(growth <= MOST[from], `${growth} bytes`);
        assert.ok(server.logSize() <= LOG, `${server.logSize()} bytes`);
        assert.ok(ratio <= SLOWEST, `${ratio} times as slow`);
      });
    }
  });
}

/** A server in a process of its own, its known devices, and the way to flood it. */
class FloodedServer {
  readonly issuer: string;
  readonly #directory: WorkingDirectory;
  readonly #process: Process;
  readonly #store: string;
  readonly #devices: { value: string; path: string }[] = [];

  private constructor(issuer: string, directory: WorkingDirectory, started: Process, store: string) {
    this.issuer = issuer;
    this.#directory = directory;
    this.#process = started;
    this.#store = store;
  }

  static async start(store: string): Promise<FloodedServer> {
    const port = await freePort();
    const issuer = `http://localhost:${port}`;
    const directory = new WorkingDirectory();
    // Beside a store that nodes share, a server waits for its operator to hand it the key.
    await openMasterKey(join(directory.path, 'keys'), { create: true, random: systemRandom });
    directory.write('password', OWNERS[0]?.password ?? '');
    directory.write('latchkey.yaml', settings(issuer, port, directory.path, store));
    const started = directory.start(['start', '--config', join(directory.path, 'latchkey.yaml')]);
    const server = new FloodedServer(issuer, directory, started, store);
    await Promise.race([
      until(() =>
        fetch(`${issuer}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      ),
      started.ended.then(({ err }) => assert.fail(err)),
    ]);
    for (const turn of OWNERS.keys()) {
      const browser = new Browser({ 'x-forwarded-for': `192.0.2.${turn}` });
      await signIn(browser, server.request(), OWNERS[turn]);
      server.#devices.push(browser.cookies.get('latchkey_device') ?? assert.fail('no device cookie'));
    }
    return server;
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#process.ended;
    this.#directory.remove();
  }

  request(): AuthorizationRequest {
    return authorizationRequest(this.issuer, 'shop', { redirect_uri: `${this.issuer}/nowhere`, scope: 'openid email' });
  }

  /** Signs in on known devices, by turns; each of them succeeds. @returns milliseconds of each */
  async signIns(isOver: (count: number) => boolean): Promise<number[]> {
    const taken: number[] = [];
    while (!isOver(taken.length)) {
      const start = performance.now();
      await this.#signInOnKnownDevice(taken.length % OWNERS.length);
      const elapsed = performance.now() - start;
      taken.push(elapsed);
      if (elapsed < PACE) await pause(PACE - elapsed);
    }
    return taken;
  }

  /** The whole way from the app to its code. */
  async #signInOnKnownDevice(turn: number): Promise<void> {
    const browser = new Browser({ 'x-forwarded-for': `192.0.2.${turn}` });
    browser.cookies.set('latchkey_device', this.#devices[turn] ?? assert.fail('no device cookie'));
    const back = await signIn(browser, this.request(), OWNERS[turn]);
    assert.ok(back.searchParams.has('code'), back.href);
  }

  /** Forms that every guess can be sent by, since a wrong password leaves them as they are. */
  async openForms(): Promise<FloodPlan['forms']> {
    const forms = [];
    for (let turn = 0; turn < FORMS; turn += 1) {
      const browser = new Browser({ 'x-forwarded-for': `203.0.113.${turn}` });
      const page = await browser.visit(this.request().url);
      const { action, hidden } = formOf(page);
      const { pathname } = new URL(action);
      forms.push({
        path: pathname,
        cookie: browser.cookieHeader(pathname),
        fields: new URLSearchParams(hidden).toString(),
      });
    }
    return forms;
  }

  async flood(shape: Pick<FloodPlan, 'blocks' | 'forms'>): Promise<FloodCounts> {
    const { host, port } = new URL(this.issuer);
    const { pathname, search } = new URL(this.request().url);
    const plan = { ...shape, port: Number(port), host, rate: RATE, seconds: SECONDS, authorize: pathname + search };
    const child = spawn(process.execPath, [FLOOD, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    for await (const piece of child.stdout) printed += String(piece);
    return JSON.parse(printed) as FloodCounts;
  }

  /** The bytes of everything that is stored; of a file without its log, which is written over again and again. */
  async storeSize(): Promise<number> {
    if (this.#store.startsWith('sqlite:')) return contentOf(pathOf(this.#store));
    const memory = await command(Number(new URL(this.#store).port), (client) => client.info('memory'));
    return Number(/^used_memory:(\d+)/m.exec(memory)?.[1]);
  }

  /** The bytes of the log beside a file. */
  logSize(): number {
    return this.#store.startsWith('sqlite:') ? statSync(`${pathOf(this.#store)}-wal`).size : 0;
  }
}

const pathOf = (store: string): string => store.slice('sqlite:'.length);

function contentOf(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const pragma = (name: string) => Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
    return pragma('page_count') * pragma('page_size');
  } finally {
    database.close();
  }
}

interface Figures {
  count: number;
  p50: number;
  p99: number;
}

function figures(samples: readonly number[]): Figures {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { count: samples.length, p50: at(0.5), p99: at(0.99) };
}

function inWords({ count, p50, p99 }: Figures): string {
  return `${count} sign-ins, p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`;
}

function settings(issuer: string, port: number, directory: string, store: string): string {
  const accounts = OWNERS.map(({ email }) => `  - { email: ${email}, name: Owner, password: { file: password } }`);
  return `
issuer: ${issuer}
listen: { port: ${port}, trusted_proxies: [127.0.0.1, '::1'] }
stores: { grants: '${store}' }
keys_dir: ${join(directory, 'keys')}
log: { level: warn }
clients:
  - client_id: shop
    client_name: Shop
    type: spa
    first_party: true
    redirect_uris: ['${issuer}/nowhere']
    scopes: [openid, email]
accounts:
${accounts.join('\n')}
`;
}
