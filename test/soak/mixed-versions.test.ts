import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { freePort } from '../support/free-port.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { CALLBACK, Customer, Front, ISSUER, PASSWORD, SECRET } from './mixed-site.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The first version with which later ones serve together (docs/upgrades.md). */
const OLDER = process.env['SOAK_OLDER'] ?? '02537bb';
const CUSTOMERS = 4;
/** Milliseconds of load between two changes. */
const LOAD = 2000;
const MINUTE = 60_000;

const settings = (store: string): string => `
issuer: ${ISSUER}
listen: { trusted_proxies: [127.0.0.1] }
stores: { grants: '${store}' }
log: { level: warn, format: json }
clients:
  - client_id: shop
    client_name: Shop
    type: web
    first_party: true
    id_token_signing_alg: ES256
    secret: { env: SHOP }
    redirect_uris: ['${CALLBACK}']
    scopes: [openid, profile, email, offline_access]
accounts:
${Array.from({ length: CUSTOMERS }, (_, at) => `  - { email: person-${at}@example.com, name: Person ${at}, password: { env: PEOPLE } }`).join('\n')}
`;

/** Runs a program to its end. @throws Error with what it wrote */
function run(program: string, args: readonly string[], input?: Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, input, maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
}

/**
 * Puts the program of a commit into a folder. It comes from the history of this clone, or if that is shallow, from the
 * origin. It runs on the packages of today, and says if it had another version of one.
 * @returns the path of its `main.ts`
 */
function checkOut(commit: string, folder: string): string {
  const isKnown = spawnSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT }).status === 0;
  if (!isKnown) run('git', ['fetch', '--unshallow']);
  mkdirSync(folder);
  run('tar', ['-x', '-C', folder], run('git', ['archive', commit, 'src', 'views', 'package.json']));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const packages = (root: string): Record<string, string> =>
    (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> })
      .dependencies;
  const now = packages(ROOT);
  for (const [name, version] of Object.entries(packages(folder))) {
    if (now[name] !== version) console.log(`      ${commit} runs with ${name} ${now[name] ?? '-'}, not ${version}`);
  }
  return join(folder, 'src/main.ts');
}

/** Two nodes of two versions on one Redis, behind a load balancer. */
class MixedSite {
  readonly customers: Customer[] = [];
  readonly #directory = new WorkingDirectory();
  readonly #nodes = new Map<number, Process>();
  #store: RedisOfTests | undefined;
  #older = '';
  #balancer = new Front(0);
  /** One for each node, through which the node is reached alone. */
  #alone: Front[] = [];

  async start(): Promise<void> {
    this.#older = checkOut(OLDER, join(this.#directory.path, 'older'));
    this.#store = await startRedis({ appendonly: true });
    this.#directory.write('latchkey.yaml', settings(this.#store.url));
    await openMasterKey(join(this.#directory.path, 'keys'), { create: true, random: systemRandom });
    const port = await freePort(5);
    const fronts = [0, 1, 2].map((at) => new Front(port + at));
    for (const front of fronts) await front.balancer.listen(front.url);
    [this.#balancer = this.#balancer, ...this.#alone] = fronts;
    for (const at of [0, 1]) await this.replace(at, 'older');
    for (let at = 0; at < CUSTOMERS; at += 1) this.customers.push(new Customer(this.#balancer, at));
  }

  /** Replaces a node by one of a version. */
  async replace(at: number, version: 'older' | 'newer'): Promise<void> {
    const port = Number(new URL(this.#balancer.url).port) + 3 + at;
    const url = `http://127.0.0.1:${port}`;
    const node = this.#nodes.get(at);
    if (node !== undefined) {
      await this.#balancer.balancer.takeOut({ url });
      node.kill('SIGTERM');
      const { code, err, out } = await node.ended;
      assert.equal(code, 0, err + out);
    }
    const environment = { LATCHKEY_PORT: String(port), SHOP: SECRET, PEOPLE: PASSWORD };
    const main = version === 'older' ? this.#older : undefined;
    const started = this.#directory.start(['start', '--config', 'latchkey.yaml'], environment, main);
    this.#nodes.set(at, started);
    const ended = started.ended.then(({ err, out }) => Promise.reject(new Error(`a node ended: ${err}${out}`)));
    const isReady = async (): Promise<boolean> => {
      const answer = await fetch(`${url}/readyz`).catch(() => undefined);
      await answer?.arrayBuffer();
      return answer?.status === 200;
    };
    await Promise.race([until(isReady, MINUTE), ended]);
    ended.catch(() => undefined);
    this.#alone[at]?.balancer.add({ url });
    this.#balancer.balancer.add({ url });
  }

  /** Brings the store to the newest format, as an operator does once no older node serves. */
  async upgrade(): Promise<void> {
    const environment = { SHOP: SECRET, PEOPLE: PASSWORD };
    const { code, out, err } = await this.#directory.run(['store', 'upgrade', '--yes'], environment);
    assert.equal(code, 0, out + err);
  }

  /** Changes nodes under load, and then looks at both what counts there. @returns what went wrong */
  async under(change: () => Promise<void>): Promise<string[]> {
    let isOver = false;
    const busy = this.customers.map((customer) => customer.keepBusy(() => isOver));
    try {
      await sleep(LOAD / 2);
      await change();
      await sleep(LOAD);
    } finally {
      isOver = true;
      await Promise.all(busy);
    }
    await Promise.all(this.customers.map((customer) => customer.verifyAt(this.#alone)));
    for (const customer of this.customers) customer.returnTo(this.#balancer);
    return this.customers.flatMap(({ faults }) => faults.splice(0));
  }

  output(): string {
    return [...this.#nodes.values()].map((node) => node.output()).join('\n');
  }

  async close(): Promise<void> {
    for (const node of this.#nodes.values()) node.kill('SIGKILL');
    await Promise.all([this.#balancer, ...this.#alone].map(({ balancer }) => balancer.close()));
    await this.#store?.stop();
    this.#directory.remove();
  }
}

describe(`Nodes of commit ${OLDER} and of this version on one store under load`, function () {
  this.timeout(5 * MINUTE);
  const site = new MixedSite();
  before(() => site.start());
  after(() => site.close());

  const nothing = () => Promise.resolve();
  const stages: readonly [string, () => Promise<void>][] = [
    ['Two nodes of the older version serve every request', nothing],
    ['The replacement of the first node by the newer version loses nothing', () => site.replace(0, 'newer')],
    ['The replacement of the second node by the newer version loses nothing', () => site.replace(1, 'newer')],
    ['The return of the first node to the older version loses nothing', () => site.replace(0, 'older')],
    ['The return of the second node to the older version loses nothing', () => site.replace(1, 'older')],
    [
      'The final replacement of both nodes by the newer version loses nothing',
      async () => {
        await site.replace(1, 'newer');
        await site.replace(0, 'newer');
      },
    ],
    ['The upgrade of the store under two nodes loses nothing', () => site.upgrade()],
  ];
  for (const [title, change] of stages) {
    it(title, async () => {
      const faults = await site.under(change);
      assert.deepEqual(faults.slice(0, 10), [], `${faults.length} faults\n${site.output()}`);
    });
  }

  it('Every customer of the two nodes has used every feature more than once, and few sign-ins began again', () => {
    const { customers } = site;
    const done = customers.map((customer) => customer.done);
    console.log(`      ${JSON.stringify(done[0])} of the first of ${CUSTOMERS} people`);
    for (const counts of done)
      assert.ok(
        Object.values(counts).every((count) => count > 1),
        JSON.stringify(done),
      );
    const restarts = customers.reduce((sum, customer) => sum + customer.restarts, 0);
    assert.ok(restarts <= CUSTOMERS * stages.length, `${restarts} began again`);
  });
});
