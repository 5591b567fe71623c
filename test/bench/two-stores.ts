import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { startPostgres } from '../support/postgres.ts';
import { startRedis } from '../support/redis.ts';
import { issuerAt, writeConfig } from './config.ts';
import type { Sizes } from './measure.ts';
import { startCommand, startMeasured, type Program } from './processes.ts';
import { rows, signPeopleIn } from './rows.ts';
import { compare, type Comparison, type Side } from './side-by-side.ts';

/** What each row costs with the records in PostgreSQL and the grants in Redis, beside Redis alone. */
export async function measureTwoStores(options: {
  sizes: Sizes;
  only: string;
  nodeOptions: readonly string[];
}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
  const postgres = await startPostgres({ settings: { shared_buffers: '128MB' } });
  const [alone, grants] = [await startRedis({ appendonly: true }), await startRedis({ appendonly: true })];
  const started: Side[] = [];
  const startSide = async (name: string, store: Program['store'], url: string, records?: string): Promise<Side> => {
    const [port, folder] = [await freePort(), await mkdtemp(join(directory, `${name}-`))];
    const config = await writeConfig(folder, { port, store: url });
    const server = await startMeasured({
      options: [...startCommand.options, ...options.nodeOptions],
      line: [...startCommand.line, '--config', config],
      url: issuerAt(port),
      store,
      ...(records !== undefined && { environment: { LATCHKEY_RECORDS_STORE: records } }),
    });
    const side = { server, bench: { issuer: issuerAt(port), browsers: await signPeopleIn(issuerAt(port)) } };
    started.push(side);
    return side;
  };
  try {
    const left = await startSide('one', 'redis', alone.url);
    const right = await startSide('two', 'postgres and redis', grants.url, await postgres.newDatabase());
    const results: Comparison[] = [];
    for (const row of rows.filter(({ name }) => name.includes(options.only))) {
      process.stderr.write(`PostgreSQL and Redis: ${row.name}\n`);
      results.push(await compare(row, [left, right], options.sizes));
    }
    return `PostgreSQL and Redis, beside Redis alone\n\n${comparisonTable(results)}\n`;
  } finally {
    for (const { server } of started) await server.stop();
    for (const store of [alone, grants, postgres]) await store.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** One line per row, as Markdown. */
function comparisonTable(results: readonly Comparison[]): string {
  const lines = results.map(({ name, cpu, trips, ratio }) => {
    const seconds = cpu.map((each) => each.toFixed(each < 0.1 ? 3 : 2));
    return `| ${[name, ...seconds, ratio.toFixed(2), ...trips].join(' | ')} |`;
  });
  return [
    '| | CPU s/1000, Redis | CPU s/1000, both | ratio | trips, Redis | trips, both |',
    '|---|---:|---:|---:|---:|---:|',
    ...lines,
  ].join('\n');
}
