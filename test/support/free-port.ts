import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that the system hands out by itself, so that nobody's outgoing connection takes one meanwhile; processes
 * that run at the same time each have their own.
 */
const RANGES: Record<string, [lowest: number, highest: number]> = { 0: [12_000, 22_000], 1: [22_000, 32_000] };
const [LOWEST, HIGHEST] = RANGES[process.env['TEST_SHARE'] ?? ''] ?? [12_000, 32_000];

/** The first of some ports in a row that were free a moment ago. */
export async function freePort(inARow = 1): Promise<number> {
  for (;;) {
    const first = randomInt(LOWEST, HIGHEST - inARow);
    const ports = Array.from({ length: inARow }, (_, offset) => first + offset);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return first;
  }
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
