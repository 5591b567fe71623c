import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeProtectedHeader } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { RING_CHANNEL } from '../../src/keys/ring-record.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { tokenRequest } from '../support/flows.ts';
import { keysCommand } from '../support/keys-command.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startApi, withJwksRsa, withJwtBearer, type Api, type MakeApp } from './apis.ts';
import { until } from '../support/until.ts';

const ALGORITHMS = ['ES256', 'RS256'] as const;
type Algorithm = (typeof ALGORITHMS)[number];

interface Token {
  alg: Algorithm;
  kid: string;
  jwt: string;
}

const audienceOf = (alg: Algorithm): string => `https://${alg.toLowerCase()}.example.com`;

/** An API for each algorithm, for which the demo's service gets tokens. */
function withApis(keys: Partial<Config['keys']>) {
  return (config: Config): Config => ({
    ...config,
    keys: { ...config.keys, ...keys },
    resources: ALGORITHMS.map((alg) => ({
      identifier: audienceOf(alg),
      name: alg,
      scopes: { read: { description: 'Read' } },
      signing_alg: alg,
    })),
    clients: config.clients.map((client) => ({
      ...client,
      scopes: ['read'],
      resources: ALGORITHMS.map(audienceOf),
      default_resource: audienceOf('ES256'),
    })),
  });
}

/** Looks at keys that rotate every few seconds, before a test gives up. */
const LOOKS = 500;

describe('API libraries with their default cache of /jwks', function () {
  this.timeout(180_000);
  let server: TestServer;
  let apis: (Api & { alg: Algorithm; library: string })[];

  /** @param keys goes over the settings of the keys, unchecked */
  async function start(libraries: Record<string, MakeApp>, keys: Partial<Config['keys']> = {}): Promise<void> {
    server = await startTestServer({ change: withApis(keys) });
    apis = [];
    for (const [library, make] of Object.entries(libraries)) {
      for (const alg of ALGORITHMS) {
        const api = await startApi(make(server.issuer, audienceOf(alg)));
        apis.push({ ...api, alg, library });
      }
    }
  }
  afterEach(async () => {
    for (const api of apis) await api.close();
    await server.close();
    returnToPresent();
  });

  const keys = (...line: string[]): Promise<void> =>
    keysCommand({ ...server, store: `sqlite:${join(server.directory, 'store.db')}` }, ...line);

  async function newToken(alg: Algorithm): Promise<Token> {
    const request = { grant_type: 'client_credentials', scope: 'read', resource: audienceOf(alg) };
    const { status, body } = await tokenRequest(server.issuer, request, 'demo-service:demo-service-secret');
    assert.equal(status, 200, JSON.stringify(body));
    const jwt = String(body['access_token']);
    return { alg, kid: decodeProtectedHeader(jwt).kid ?? '', jwt };
  }

  const newTokens = (): Promise<Token[]> => Promise.all(ALGORITHMS.map(newToken));

  async function answersTo({ alg, jwt }: Token): Promise<string[]> {
    const asked = apis.filter((api) => api.alg === alg);
    return Promise.all(asked.map(async (api) => `${api.library}: ${await api.answerTo(jwt)}`));
  }

  async function allAccept(tokens: readonly Token[]): Promise<void> {
    for (const token of tokens) {
      for (const answer of await answersTo(token)) assert.match(answer, /: accepted$/, token.alg);
    }
  }

  /** Has the server look at its keys, as another node would by a hint: its own timers do not notice that time was moved. */
  async function hint(): Promise<void> {
    const store = await openStore(`sqlite:${join(server.directory, 'store.db')}`, systemClock);
    await store.publish(RING_CHANNEL, '').finally(() => store.close());
  }

  async function publishedKids(): Promise<string[]> {
    const { keys } = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: { kid: string }[] };
    return keys.map(({ kid }) => kid);
  }

  async function rotate(): Promise<void> {
    const before = await publishedKids();
    await keys('rotate');
    const isNew = (kid: string): boolean => !before.includes(kid);
    await until(async () => (await publishedKids()).filter(isNew).length >= ALGORITHMS.length);
  }

  /** The first tokens that all other keys have signed. */
  async function tokensByOthers(than: readonly Token[]): Promise<Token[]> {
    for (let look = 0; look < LOOKS; look += 1) {
      await hint();
      const tokens = await newTokens();
      if (tokens.every(({ kid }) => than.every((other) => other.kid !== kid))) return tokens;
      await sleep(50);
    }
    return assert.fail('the same keys still sign');
  }

  it('Common API libraries accept every token over three rotations with the default timetable', async () => {
    await start({ 'express-oauth2-jwt-bearer': withJwtBearer, 'jwks-rsa': withJwksRsa() });
    for (let turn = 1; turn <= 3; turn += 1) {
      await allAccept(await newTokens());
      await rotate();
      travel(server.config.keys.announce - 60);
      const last = await newTokens();
      await allAccept(last);
      travel(61);
      const first = await tokensByOthers(last);
      await allAccept([...first, ...last]);
      travel(13 * 60);
      await allAccept([...first, ...last]);
    }
  });

  it('Common API libraries accept every token if keys rotate every 10 seconds and are announced for 33', async () => {
    await start(
      { 'express-oauth2-jwt-bearer': withJwtBearer, 'jwks-rsa': withJwksRsa() },
      { sign: 10, announce: 33, jwks_max_age: 30, clock_skew: 1 },
    );
    const kids = new Set<string>();
    for (let look = 0; kids.size < 4 * ALGORITHMS.length; look += 1) {
      assert.ok(look < LOOKS, 'the keys do not rotate');
      const tokens = await newTokens();
      await allAccept(tokens);
      for (const { kid } of tokens) kids.add(kid);
      await sleep(500);
    }
  });

  it('express-oauth2-jwt-bearer refuses a key that was announced for less than its 30 seconds between fetches', async () => {
    await start(
      { 'express-oauth2-jwt-bearer': withJwtBearer },
      { sign: 1, announce: 3, jwks_max_age: 1, clock_skew: 1 },
    );
    let answers: string[] = [];
    await until(async () => {
      answers = await answersTo(await newToken('ES256'));
      return !answers.every((answer) => answer.endsWith(': accepted'));
    });
    assert.match(answers.join(), /no applicable key found in the JSON Web Key Set/);
  });

  it('express-oauth2-jwt-bearer refuses the tokens of a revoked key after ten minutes', async () => {
    await start({ 'express-oauth2-jwt-bearer': withJwtBearer });
    const token = await newToken('ES256');
    await allAccept([token]);
    await keys('revoke', '--yes', '--', token.kid);
    await until(async () => !(await publishedKids()).includes(token.kid));
    travel(9 * 60);
    await allAccept([token]);
    travel(61);
    assert.match((await answersTo(token)).join(), /no applicable key found in the JSON Web Key Set/);
  });

  it('jwks-rsa refuses the tokens of a revoked key after its configured cache time', async () => {
    await start({ 'jwks-rsa': withJwksRsa({ cacheMaxAge: 500 }) });
    const token = await newToken('RS256');
    await allAccept([token]);
    await keys('revoke', '--yes', '--', token.kid);
    await until(async () => !(await publishedKids()).includes(token.kid));
    let answer = 'jwks-rsa: accepted';
    await until(async () => {
      [answer = ''] = await answersTo(token);
      return !answer.endsWith(': accepted');
    });
    assert.match(answer, /Unable to find a signing key that matches/);
  });
});
