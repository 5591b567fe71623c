import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that the system hands out by itself, so that nobody's outgoing connection takes one meanwhile; processes
 * that run at the same time each have their own.
 */
const ALL = { lowest: 12_000, highest: 32_000 };
/** More than the lanes of any suite (`run.ts`). */
const LANES = 4;
const { lowest, highest } = process.env['TEST_LANE'] === undefined ? ALL : shareOf(Number(process.env['TEST_LANE']));

function shareOf(lane: number): typeof ALL {
  const size = (ALL.highest - ALL.lowest) / LANES;
  return { lowest: ALL.lowest + lane * size, highest: ALL.lowest + (lane + 1) * size };
}

/** The first of some ports in a row that were free a moment ago. */
export async function freePort(inARow = 1): Promise<number> {
  for (let tries = 0; tries < 1000; tries += 1) {
    const first = randomInt(lowest, highest - inARow);
    const ports = Array.from({ length: inARow }, (_, offset) => first + offset);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`there are no ${inARow} free ports in a row`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
