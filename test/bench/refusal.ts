import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createVerifier, InvalidToken, type Verifier } from '../../src/resource-server/resource-server.ts';
import { newPlace } from '../durability/command.ts';
import { tokenRequest } from '../support/flows.ts';
import { startRedis } from '../support/redis.ts';
import { startServerProcess } from '../support/server-process.ts';
import { apiOf } from '../support/tokens.ts';
import { median } from './measure.ts';

const APIS = 100;
/** So many of them at a time are sent the token again and again; all of them at once would keep this process from listening. */
const ASKED = 10;
/** In milliseconds: how exact the times are. */
const EVERY = 5;
/** Until every stream is there. */
const WARM_UP = 5;
const SERVICE = 'demo-service:demo-service-secret';

/** From the request that revokes a token until APIs refuse it that listen to the stream, on Redis. */
export async function timeToRefusal(rounds: number): Promise<string> {
  const redis = await startRedis({ appendonly: true });
  const place = await newPlace(redis.url);
  const node = await startServerProcess({ ...place, at: place.port });
  const { issuer } = place;
  const apis = Array.from({ length: APIS }, () => createVerifier({ issuer, audience: apiOf(issuer) }));
  try {
    const times: number[] = [];
    for (let round = -WARM_UP; round < rounds; round += 1) {
      const token = await newToken(issuer);
      await Promise.all(apis.map((api) => api.verify(token)));
      const from = ((round + WARM_UP) * ASKED) % APIS;
      const took = await revokeAndAsk(issuer, token, apis.slice(from, from + ASKED));
      if (round >= 0) times.push(...took);
    }
    return line(times);
  } finally {
    for (const api of apis) api.close();
    await node.close();
    await place.remove();
    await redis.stop();
  }
}

async function newToken(issuer: string): Promise<string> {
  const request = { grant_type: 'client_credentials', scope: 'notes:read' };
  const { status, body } = await tokenRequest(issuer, request, SERVICE);
  assert.equal(status, 200);
  return String(body['access_token']);
}

async function revokeAndAsk(issuer: string, token: string, apis: readonly Verifier[]): Promise<number[]> {
  const start = performance.now();
  const refused = Promise.all(apis.map((api) => untilRefused(api, token)));
  const { status } = await fetch(`${issuer}/revoke`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(SERVICE)}` },
    body: new URLSearchParams({ token }),
  });
  assert.equal(status, 200);
  return (await refused).map((at) => at - start);
}

async function untilRefused(api: Verifier, token: string): Promise<number> {
  for (let asked = 0; asked < 10_000; asked += 1) {
    try {
      await api.verify(token);
    } catch (error) {
      if (error instanceof InvalidToken) return performance.now();
      throw error;
    }
    await sleep(EVERY);
  }
  return assert.fail('the token is still accepted');
}

function line(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const [middle, p99, most] = [median(sorted), sorted[Math.floor(sorted.length * 0.99)] ?? 0, sorted.at(-1) ?? 0];
  const figures = `median ${middle.toFixed()} ms, p99 ${p99.toFixed()} ms, most ${most.toFixed()} ms`;
  return `from the request that revokes to the refusal, ${APIS} APIs listening on Redis: ${figures} (${times.length} times)\n`;
}
