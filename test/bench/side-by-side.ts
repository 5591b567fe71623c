import { run, sendOne, type Load } from './load.ts';
import { median, type Sizes } from './measure.ts';
import type { Measured } from './processes.ts';
import type { Bench, Row } from './rows.ts';

/** One of two servers that are compared. */
export interface Side {
  bench: Bench;
  server: Measured;
}

/** What a row costs each of two servers: the left one, then the right one. */
export interface Comparison {
  name: string;
  /** CPU seconds of the server process per 1,000 requests. */
  cpu: [left: number, right: number];
  /** Round trips to the stores per request. */
  trips: [left: number, right: number];
  /** Of the right CPU time to the left one: the median over neighbouring turns. */
  ratio: number;
  /** The same of the cheapest turns, which other work of the machine disturbs least. */
  least: number;
}

/** Requests that tell how often one asks the stores. */
const COUNTED = 20;
/** How often they are counted. */
const COUNTS = 3;

/** Measures a row on two servers in turns, so that whatever else the machine does falls on both. */
export async function compare(row: Row, sides: readonly [Side, Side], sizes: Sizes): Promise<Comparison> {
  const [left, right] = [await warmedUp(row, sides[0], sizes), await warmedUp(row, sides[1], sizes)];
  const pairs: [number, number][] = [];
  for (let round = 0; pairs.length < sizes.rounds && round < 3 * sizes.rounds; round += 1) {
    const pair: [number, number] = [0, 0];
    // The first of two turns has the colder caches.
    for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      pair[at] = await (at === 0 ? left : right).takeTurn();
    }
    if (pair.every(Number.isFinite)) pairs.push(pair);
  }
  return {
    name: row.name,
    cpu: [median(pairs.map(([cpu]) => cpu)), median(pairs.map(([, cpu]) => cpu))],
    trips: [left.trips, right.trips],
    ratio: median(pairs.map(([one, other]) => other / one)),
    least: Math.min(...pairs.map(([, other]) => other)) / Math.min(...pairs.map(([one]) => one)),
  };
}

async function warmedUp(row: Row, { bench, server }: Side, { warmUp, turn }: Sizes) {
  const { status } = await sendOne(await row.prepare(bench, 1), server.url);
  const trips: number[] = [];
  while (trips.length < COUNTS) {
    const few = { ...(await row.prepare(bench, COUNTED)), connections: 1 };
    const before = await server.usage();
    const { count } = await run(few, server.url, { milliseconds: 200, status });
    const after = await server.usage();
    trips.push((after.reads + after.writes - before.reads - before.writes) / count);
  }
  const warm = await run(await row.prepare(bench, 40), server.url, { milliseconds: warmUp, status });
  const amount = Math.max(20, Math.round((warm.count / warm.took) * turn));
  return {
    // Work in the background makes some counts higher.
    trips: Math.round(Math.min(...trips)),
    /** @returns CPU seconds per 1,000 requests; NaN where a busy machine answered so few that other work counts more */
    takeTurn: async (): Promise<number> => {
      const load: Load = await row.prepare(bench, amount);
      const start = await server.usage();
      const { count } = await run(load, server.url, { milliseconds: turn, status });
      const { cpu } = await server.usage();
      return count < COUNTED ? NaN : (cpu - start.cpu) / count / 1000;
    },
  };
}
