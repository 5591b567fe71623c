import type { Imitation } from './floor.ts';
import { run, sendOne, type Load, type Round } from './load.ts';
import type { Measured } from './processes.ts';
import type { Bench, Row } from './rows.ts';

export interface Sizes {
  /** How often server and floor take turns. */
  rounds: number;
  /** Milliseconds of one turn. */
  turn: number;
  warmUp: number;
}

export interface Result {
  name: string;
  /** Requests per second. */
  rate: number;
  /** Milliseconds. */
  median: number;
  p99: number;
  /** CPU seconds of the server process per 1,000 requests. */
  cpu: number;
  reads: number;
  writes: number;
  signatures: number;
  floorRate: number;
  /** Of the rate to the floor's, and of the floor's CPU time to the server's: 1 is the floor. */
  ratio: number;
  cpuRatio: number;
}

interface Turn extends Round {
  cpu: number;
}

/** Requests that tell what one costs the store. */
const COUNTED = 20;

/** Measures a row: server and floor in turns, so that whatever else the machine does falls on both. */
export async function measure(
  row: Row,
  parts: { bench: Bench; server: Measured; floor: Measured; sizes: Sizes },
): Promise<Result> {
  const { bench, server, floor, sizes } = parts;
  const imitation = await imitationOf(row, bench, server);
  await floor.tell(imitation);

  const { status } = imitation;
  const takeTurn = async (measured: Measured, load: Load, milliseconds: number): Promise<Turn> => {
    const before = await measured.usage();
    const round = await run(load, measured.url, { milliseconds, status });
    return { ...round, cpu: (await measured.usage()).cpu - before.cpu };
  };
  // The warm-up also tells how many single-use requests fill a turn.
  const warm = await takeTurn(server, await row.prepare(bench, 40), sizes.warmUp);
  const amount = Math.max(20, Math.round(((warm.count / warm.took) * sizes.turn) / 10) * 10);
  const pairs: { own: Turn; bare: Turn }[] = [];
  for (let round = 0; round < sizes.rounds; round += 1) {
    const load = await row.prepare(bench, amount);
    if (round === 0) await takeTurn(floor, load, sizes.warmUp);
    pairs.push({ own: await takeTurn(server, load, sizes.turn), bare: await takeTurn(floor, load, sizes.turn) });
  }
  return { name: row.name, ...summary(pairs), ...tripsAndSignatures(imitation) };
}

/** Finds out what the floor has to do: what the server answers, and how often it asks its store. */
async function imitationOf(row: Row, bench: Bench, server: Measured): Promise<Imitation> {
  const response = await sendOne(await row.prepare(bench, 1), server.url);
  const { status } = response;
  const load = { ...(await row.prepare(bench, COUNTED)), connections: 1 };
  const before = await server.usage();
  const { count } = await run(load, server.url, { milliseconds: 200, status });
  const after = await server.usage();
  return {
    status,
    headers: headersToSend(response.headers),
    body: await response.text(),
    reads: Math.round((after.reads - before.reads) / count),
    writes: Math.round((after.writes - before.writes) / count),
    hashesPassword: row.hashesPassword === true,
  };
}

/** Those that `node:http` does not write by itself. */
function headersToSend(headers: Headers): Imitation['headers'] {
  const automatic = ['connection', 'content-length', 'date', 'keep-alive', 'transfer-encoding'];
  const sent = [...headers].filter(([name]) => name !== 'set-cookie' && !automatic.includes(name));
  return { ...Object.fromEntries(sent), 'set-cookie': headers.getSetCookie() };
}

function tripsAndSignatures({ reads, writes, body }: Imitation): Pick<Result, 'reads' | 'writes' | 'signatures'> {
  return { reads, writes, signatures: body.match(/"eyJ/g)?.length ?? 0 };
}

function summary(
  pairs: readonly { own: Turn; bare: Turn }[],
): Omit<Result, 'name' | 'reads' | 'writes' | 'signatures'> {
  const latencies = pairs.flatMap(({ own }) => own.latencies).sort((a, b) => a - b);
  const rateOf = ({ count, took }: Turn): number => (count / took) * 1000;
  const cpuOf = ({ count, cpu }: Turn): number => cpu / count / 1000;
  return {
    rate: median(pairs.map(({ own }) => rateOf(own))),
    median: median(latencies),
    p99: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    cpu: median(pairs.map(({ own }) => cpuOf(own))),
    floorRate: median(pairs.map(({ bare }) => rateOf(bare))),
    ratio: median(pairs.map(({ own, bare }) => rateOf(own) / rateOf(bare))),
    cpuRatio: median(pairs.map(({ own, bare }) => cpuOf(bare) / cpuOf(own))),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = sorted.length % 2 === 0 ? sorted.slice(middle - 1) : [sorted[middle], sorted[middle]];
  return (low + high) / 2;
}
