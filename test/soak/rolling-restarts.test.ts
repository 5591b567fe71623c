import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { freePort } from '../support/free-port.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { proxies, type Proxy, type StartProxy } from './proxies.ts';

const RESTARTS = 20;
const CONNECTIONS = 16;
const SECRET = 'the-secret-of-a-busy-machine';
/** Two health checks and more: proxies.ts checks each half second. */
const DRAIN_DELAY = process.env['SOAK_DRAIN_DELAY'] ?? '2s';
/** Milliseconds in which a proxy sees that a node is back. */
const NOTICED = 1000;
/** Milliseconds between an answer and the next request on its connection. */
const PAUSE = 20;
const MINUTE = 60_000;

const settings = (port: number, store: string): string => `
issuer: http://localhost:${port}
listen: { trusted_proxies: [127.0.0.1] }
stores: { grants: '${store}' }
log: { level: warn, format: json }
resources: [{ identifier: 'https://api.example', name: API, scopes: { read: { description: Read } } }]
clients:
  - { client_id: busy, client_name: Busy, type: machine, secret: { env: BUSY }, resources: ['https://api.example'], scopes: [read] }
`;

/** Requests one after the other on connections that stay. */
class KeepAliveLoad {
  /** What went wrong, in words. */
  readonly faults: string[] = [];
  answered = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #port: number;
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  async run(): Promise<void> {
    const one = async (): Promise<void> => {
      for (let count = 0; !this.#isOver; count += 1) {
        await this.#ask(count % 2 === 0);
        await sleep(PAUSE);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, one));
    this.#agent.destroy();
  }

  stop(): void {
    this.#isOver = true;
  }

  /** A token, which no proxy may ask for twice, or a document. */
  async #ask(isToken: boolean): Promise<void> {
    const what = isToken ? 'POST /token' : 'GET /jwks';
    const [method, path] = what.split(' ');
    const headers = {
      host: `localhost:${this.#port}`,
      ...(isToken && {
        authorization: `Basic ${Buffer.from(`busy:${SECRET}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      }),
    };
    try {
      const sent = request({ host: '127.0.0.1', port: this.#port, method, path, headers, agent: this.#agent });
      sent.end(isToken ? 'grant_type=client_credentials&scope=read&resource=https%3A%2F%2Fapi.example' : undefined);
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      const body = await text(answer);
      if (answer.statusCode === 200) this.answered += 1;
      else this.faults.push(`${what}: ${answer.statusCode} ${body.slice(0, 200)}`);
    } catch (error) {
      this.faults.push(`${what}: ${String(error)}`);
    }
  }
}

/** Two nodes on one store behind a proxy that is really started. */
class RollingRestarts {
  readonly #name: string;
  readonly #startProxy: StartProxy;
  readonly #directory = new WorkingDirectory();
  readonly #nodes = new Map<number, Process>();
  #store: RedisOfTests | undefined;
  #proxy: Proxy | undefined;
  #port = 0;

  constructor([name, startProxy]: [string, StartProxy]) {
    this.#name = name;
    this.#startProxy = startProxy;
  }

  /** Sets up, restarts one node after the other under load, and tears down. @returns what the clients noticed */
  async run(): Promise<{ faults: string[]; output: string }> {
    try {
      await this.#start();
      const faults = await this.#restartAll();
      return { faults, output: this.#proxy?.output() ?? '' };
    } finally {
      for (const node of this.#nodes.values()) node.kill('SIGKILL');
      await this.#proxy?.close();
      await this.#store?.stop();
      this.#directory.remove();
    }
  }

  async #start(): Promise<void> {
    this.#store = await startRedis({ appendonly: true });
    this.#port = await freePort(3);
    this.#directory.write('latchkey.yaml', settings(this.#port, this.#store.url));
    await openMasterKey(`${this.#directory.path}/keys`, { create: true, random: systemRandom });
    const ports = [this.#port + 1, this.#port + 2];
    for (const port of ports) await this.#startNode(port);
    this.#proxy = await this.#startProxy(this.#port, ports);
    await sleep(NOTICED);
  }

  async #restartAll(): Promise<string[]> {
    const load = new KeepAliveLoad(this.#port);
    const running = load.run();
    try {
      for (let count = 0; count < RESTARTS && load.faults.length === 0; count += 1) {
        const before = load.answered;
        await this.#restart(this.#port + 1 + (count % 2));
        assert.ok(load.answered > before, 'nothing was answered during a restart');
        if ((count + 1) % 5 === 0) console.log(`      ${this.#name}: ${count + 1} restarts, ${load.answered} answers`);
      }
    } finally {
      load.stop();
      await running;
    }
    return load.faults;
  }

  async #startNode(port: number): Promise<void> {
    const node = this.#directory.start(['start'], {
      BUSY: SECRET,
      LATCHKEY_PORT: String(port),
      LATCHKEY_DRAIN_DELAY: DRAIN_DELAY,
    });
    this.#nodes.set(port, node);
    const ready = until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      await answer?.arrayBuffer();
      return answer?.status === 200;
    }, MINUTE);
    const ended = node.ended.then(({ err, out }) => Promise.reject(new Error(`a node ended: ${err}${out}`)));
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
  }

  async #restart(port: number): Promise<void> {
    const node = this.#nodes.get(port);
    node?.kill('SIGTERM');
    const { code, err } = (await node?.ended) ?? {};
    assert.equal(code, 0, err);
    await this.#startNode(port);
    await sleep(NOTICED);
  }
}

describe('Twenty rolling restarts of two nodes', function () {
  this.timeout(20 * MINUTE);
  // Side by side, since a restart mostly waits.
  let results: Map<string, PromiseSettledResult<{ faults: string[]; output: string }>>;
  before(async () => {
    const scenes = Object.entries(proxies);
    const runs = scenes.map(async (scene) => {
      const [result] = await Promise.allSettled([new RollingRestarts(scene).run()]);
      return [scene[0], result] as const;
    });
    results = new Map(await Promise.all(runs));
  });

  for (const name of Object.keys(proxies)) {
    it(`Rolling restarts lose no request on the persistent connections behind ${name}`, () => {
      const result = results.get(name);
      if (result?.status !== 'fulfilled') throw result?.reason;
      assert.deepEqual(result.value.faults.slice(0, 10), [], result.value.output);
    });
  }
});
