import { freePort } from '../support/free-port.ts';
import type { Pair } from './alternating-places.ts';
import { issuerAt, writeConfig } from './config.ts';
import { run } from './load.ts';
import { median, type Sizes } from './measure.ts';
import { startCommand, startMeasured, type Program } from './processes.ts';
import { rows, signPeopleIn, type Row } from './rows.ts';

/** What it costs that each token has a place in a status list, as a share of what it takes without. */
export interface Cost {
  name: string;
  byTime: number;
  byCpu: number;
}

const ROWS = ['client credentials ES256', 'refresh'];
const ALTERNATING = new URL('alternating-places.ts', import.meta.url).href;

export async function costOfPlaces(
  kind: Program['store'],
  options: { directory: string; store: string; sizes: Sizes; only: string },
): Promise<Cost[]> {
  const { directory, sizes, only } = options;
  const port = await freePort();
  const config = await writeConfig(directory, { port, store: options.store });
  const server = await startMeasured({
    options: [...startCommand.options, '--import', ALTERNATING],
    line: [...startCommand.line, '--config', config],
    url: issuerAt(port),
    store: kind,
  });
  const pairsOf = async (row: Row): Promise<Pair[]> => {
    const bench = { issuer: server.url, browsers: await signPeopleIn(server.url) };
    const send = async (milliseconds: number): Promise<unknown> =>
      run(await row.prepare(bench, 40), server.url, { milliseconds, status: 200 });
    await send(sizes.warmUp);
    await server.ask('pairs');
    await send(sizes.rounds * sizes.turn * 2);
    return (await server.ask('pairs')) as Pair[];
  };
  try {
    const costs: Cost[] = [];
    for (const row of rows.filter(({ name }) => ROWS.includes(name) && name.includes(only))) {
      process.stderr.write(`places: ${row.name}\n`);
      costs.push({ name: row.name, ...costOf(await pairsOf(row)) });
    }
    return costs;
  } finally {
    await server.stop();
  }
}

function costOf(pairs: readonly Pair[]): Omit<Cost, 'name'> {
  const each = ({ own, bare }: Pair, what: 'cpu' | 'time'): number =>
    own[what] / own.tokens / (bare[what] / bare.tokens);
  return {
    byTime: median(pairs.map((pair) => each(pair, 'time'))) - 1,
    byCpu: median(pairs.map((pair) => each(pair, 'cpu'))) - 1,
  };
}
