import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import { systemClock } from '../../src/lib/clock.ts';
import { revoker } from '../../src/status/revoker.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { tokenRequest } from '../support/flows.ts';
import { seeded } from '../support/seeded.ts';
import { apiOf } from '../support/tokens.ts';
import { FragileServer, type RedisFile } from './breakdowns.ts';
import { ProbingApi, type Verdict } from './probing-api.ts';
import { until } from '../support/until.ts';

/** Seconds: the stated bound where the stream is not there, and so that of every breakdown. */
const TTL = 3;
/** What a busy machine may add, in milliseconds. */
const BUSY = 1500;
const TOKENS = 16;
const SERVICE = 'demo-service:demo-service-secret';
const SEED = Number(process.env['SEED'] ?? Date.now() % 100_000);

/** One thing that breaks, and how it is mended. */
interface Breakdown {
  readonly name: string;
  readonly rounds: number;
  /** Whether what the store has said that it has may be gone. */
  readonly forgets: boolean;
  break(setup: KillSetup): Promise<void>;
  mend(setup: KillSetup): Promise<void>;
}

interface KillSetup {
  server: FragileServer;
  apis: ProbingApi[];
}

const redisDies = (file: RedisFile): Breakdown => ({
  name: `Redis, whose file is ${file}`,
  rounds: 2,
  forgets: file !== 'kept',
  break: ({ server }) => server.killRedis(),
  mend: ({ server }) => server.startRedis(file),
});
const nodeDies = (at: 0 | 1): Breakdown => ({
  name: `node ${at}`,
  rounds: 1,
  forgets: false,
  break: ({ server }) => server.killNode(at),
  mend: ({ server }) => server.startNode(at),
});
const wires = (state: 'cut' | 'stalled'): Breakdown => ({
  name: `the network before every API, ${state}`,
  rounds: 2,
  forgets: false,
  break: async ({ apis }) => {
    for (const { wire } of apis) wire.become(state);
  },
  mend: async ({ apis }) => {
    for (const { wire } of apis) wire.become('open');
  },
});
const both: Breakdown = {
  name: 'Redis and both nodes at once',
  rounds: 1,
  forgets: false,
  break: async ({ server }) => {
    await Promise.all([server.killRedis(), server.killNode(0), server.killNode(1)]);
  },
  mend: async ({ server }) => {
    await server.startRedis('kept');
    await Promise.all([server.startNode(0), server.startNode(1)]);
  },
};
const BREAKDOWNS = [
  ...(['kept', 'lost', 'older'] as const).map(redisDies),
  ...([0, 1] as const).map(nodeDies),
  ...(['cut', 'stalled'] as const).map(wires),
  both,
];

describe(`Breakdowns during revocations (SEED=${SEED})`, function () {
  this.timeout(120_000);
  const chance = seeded(SEED);
  let setup: KillSetup;

  before(async () => {
    const server = await FragileServer.start(TTL);
    const { issuer } = server.place;
    const places = server.ports.flatMap((port) => [true, false].map((hasStream) => ({ port, hasStream })));
    const apis = places.map((place) => ProbingApi.start({ issuer, audience: apiOf(issuer), ...place }));
    setup = { server, apis: await Promise.all(apis) };
  });
  after(async () => {
    for (const api of setup.apis) await api.close();
    await setup.server.stop();
  });

  const urlOf = (at: number): string => `http://localhost:${setup.server.ports[at % 2] ?? 0}`;

  async function newTokens(): Promise<string[]> {
    const request = { grant_type: 'client_credentials', scope: 'notes:read' };
    const answers = Array.from({ length: TOKENS }, (_, at) => tokenRequest(urlOf(at), request, SERVICE));
    return (await Promise.all(answers)).map(({ status, body }) => {
      assert.equal(status, 200, JSON.stringify(body));
      return String(body['access_token']);
    });
  }

  /**
   * A command has the store alone. What that forgets in the very moment in which it has said that it has it is known to
   * nobody: only a node, which has it too, reports what outlives a store that forgets.
   * @returns whether it was said that it is done: by a node, or by what a command does
   */
  function revoked(token: string, at: number, { forgets }: Breakdown): Promise<boolean> {
    return at % 4 === 0 && !forgets ? revokedByStore(token) : revokedAt(urlOf(at), token);
  }

  async function revokedAt(url: string, token: string): Promise<boolean> {
    const answer = fetch(`${url}/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(SERVICE)}` },
      body: new URLSearchParams({ token }),
      signal: AbortSignal.timeout(2000),
    });
    return answer.then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  async function revokedByStore(token: string): Promise<boolean> {
    const { status } = decodeJwt(token) as { status: { status_list: { uri: string; idx: number } } };
    const { store, issuer } = setup.server.place;
    const grants = await openStore(store, systemClock).catch(() => undefined);
    if (grants === undefined) return false;
    try {
      await revoker({ grants, clock: systemClock, issuer }).revokeToken(status.status_list);
      return true;
    } catch {
      return false;
    } finally {
      await grants.close();
    }
  }

  async function untilAll(tokens: readonly string[], expected: Verdict['answer']): Promise<void> {
    for (const token of tokens) {
      for (const api of setup.apis) await until(async () => (await api.ask(token)).answer === expected);
    }
  }

  /** One breakdown, somewhere within a second of revocations. */
  async function round(breakdown: Breakdown): Promise<string> {
    const { server, apis } = setup;
    const tokens = await newTokens();
    const [toRevoke, toKeep] = [tokens.slice(0, TOKENS / 2), tokens.slice(TOKENS / 2)];
    await untilAll(tokens, 'accepted');
    await server.copyFile();
    const reported = new Map<string, number>();
    const late: string[] = [];
    for (const api of apis) {
      api.probe(toRevoke, ({ answer, askedAt, token }) => {
        const since = askedAt - (reported.get(token) ?? Infinity);
        if (answer === 'accepted' && since > TTL * 1000 + BUSY) late.push(`${api.name}: ${since.toFixed()} ms`);
      });
    }
    const revoking = (async () => {
      for (const [at, token] of toRevoke.entries()) {
        if (await revoked(token, at, breakdown)) reported.set(token, performance.now());
        await sleep(chance() * 150);
      }
    })();
    const [before, after] = [chance() * 1000, chance() * 2 * TTL * 1000];
    await sleep(before);
    await breakdown.break(setup);
    await sleep(after);
    const inTime = reported.size;
    await breakdown.mend(setup);
    await revoking;
    await sleep(TTL * 1000 + 2 * BUSY);
    // What could not be revoked meanwhile can be now, and all is as it should be.
    for (const [at, token] of toRevoke.entries()) await until(() => revoked(token, at, breakdown));
    for (const api of apis) await api.rest();
    assert.deepEqual(late, []);
    await untilAll(toRevoke, 'refused');
    await untilAll(toKeep, 'accepted');
    return `${breakdown.name}: broken after ${before.toFixed()} ms for ${after.toFixed()} ms, ${inTime} revoked by then`;
  }

  for (const breakdown of BREAKDOWNS) {
    it(`No API accepts what was reported revoked during a breakdown of ${breakdown.name}`, async () => {
      for (let turn = 0; turn < breakdown.rounds; turn += 1) console.log(`      ${await round(breakdown)}`);
    });
  }
});
