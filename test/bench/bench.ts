/**
 * `npm run bench [-- --quick] [-- --only NAME] [-- --profile DIRECTORY]`: how fast the server is, beside a floor that is
 * measured in the same minutes. See docs/performance.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startRedis } from '../support/redis.ts';
import { freePort } from '../support/free-port.ts';
import { issuerAt, PEOPLE_PASSWORD, SECRET, writeConfig } from './config.ts';
import { measureKit } from './kit.ts';
import { measure, type Result, type Sizes } from './measure.ts';
import { million } from './million.ts';
import { costOfPlaces, type Cost } from './places.ts';
import { leaveTheMeasuredCpu, startCommand, startMeasured, type Program } from './processes.ts';
import { timeToRefusal } from './refusal.ts';
import { rows, signPeopleIn } from './rows.ts';
import { timeToFirstToken } from './start-time.ts';
import { table } from './table.ts';
import { measureTwoStores } from './two-stores.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
});
const sizes: Sizes = options.quick ? { rounds: 3, turn: 150, warmUp: 250 } : { rounds: 5, turn: 1000, warmUp: 1000 };
const NAMES = { sqlite: 'SQLite', redis: 'Redis' };
const profiler = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
const FLOOR = new URL('floor.ts', import.meta.url).pathname;

process.env['BENCH_SECRET'] = SECRET;
process.env['BENCH_PASSWORD'] = PEOPLE_PASSWORD;
if ('kit verification'.includes(options.only)) print(await measureKit(sizes));
const start = await timeToFirstToken();
leaveTheMeasuredCpu();
print(await onSqlite());
print(await onRedis());
print(await measureTwoStores({ sizes, only: options.only, nodeOptions: profiler }));
print(await statusLists());
if ('revoke to refusal'.includes(options.only)) print(await timeToRefusal(options.quick ? 10 : 50));
print(
  `first token after ${Math.round(start.first)} ms on the very first start, ${Math.round(start.later)} ms on later ones`,
);

function onSqlite(): Promise<string> {
  return inDirectory((directory) => {
    const at = (name: string): string => `sqlite:${join(directory, name)}`;
    return measureBackend('sqlite', directory, { server: at('store.db'), floor: at('floor.db') });
  });
}

async function onRedis(): Promise<string> {
  const redis = await startRedis({ appendonly: true });
  try {
    return await inDirectory((directory) =>
      measureBackend('redis', directory, { server: redis.url, floor: redis.url }),
    );
  } finally {
    await redis.stop();
  }
}

/** What the status lists cost, whatever was asked for by name. */
async function statusLists(): Promise<string> {
  const redis = await startRedis({ appendonly: true });
  try {
    const costs = { sqlite: [] as Cost[], redis: [] as Cost[] };
    for (const store of ['sqlite', 'redis'] as const)
      costs[store] = await inDirectory((directory) => {
        const url = store === 'redis' ? redis.url : `sqlite:${join(directory, 'store.db')}`;
        return costOfPlaces(store, { directory, store: url, sizes, only: options.only });
      });
    const share = (part: number): string => `${(part * 100).toFixed(1)} %`;
    const lines = Object.entries(costs).flatMap(([store, of]) =>
      of.map(({ name, byCpu, byTime }) => `${store}, ${name}: ${share(byCpu)} by CPU, ${share(byTime)} by time`),
    );
    const { raw, published, rebuilt, held } = await million();
    const size = `a million tokens, 0.1 % revoked: ${raw} bytes, published as ${published}`;
    const time = `rebuilt in ${rebuilt.toFixed(1)} ms; the event loop waited ${held.toFixed(1)} ms at most`;
    return ['a place for each token costs', ...lines, size, time].join('\n');
  } finally {
    await redis.stop();
  }
}

async function measureBackend(
  store: Program['store'] & keyof typeof NAMES,
  directory: string,
  stores: { server: string; floor: string },
): Promise<string> {
  const [port, floorPort] = [await freePort(), await freePort()];
  const config = await writeConfig(directory, { port, store: stores.server });
  const server = await startMeasured({
    options: [...startCommand.options, ...profiler],
    line: [...startCommand.line, '--config', config],
    url: issuerAt(port),
    store,
  });
  const floor = await startMeasured({
    line: [FLOOR, String(floorPort), stores.floor],
    url: issuerAt(floorPort),
    store,
  });
  try {
    const fresh = (await server.usage()).rss;
    const bench = { issuer: issuerAt(port), browsers: await signPeopleIn(issuerAt(port)) };
    const results: Result[] = [];
    for (const row of rows.filter((one) => one.name.includes(options.only))) {
      process.stderr.write(`${NAMES[store]}: ${row.name}\n`);
      results.push(await measure(row, { bench, server, floor, sizes }));
    }
    const { rss } = await server.usage();
    return `${NAMES[store]}\n\n${table(results)}\n\nresident: ${megabytes(fresh)} after the start, ${megabytes(rss)} after all of the above\n`;
  } finally {
    await Promise.all([server.stop(), floor.stop()]);
  }
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
