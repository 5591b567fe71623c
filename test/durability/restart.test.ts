import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { sharedPostgres } from '../support/postgres.ts';
import { startRedis } from '../support/redis.ts';
import { Browser } from '../support/browser.ts';
import {
  ALICE,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokensFor,
} from '../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { apiOf, verified } from '../support/tokens.ts';
import { newPlace, startCommand, type Command, type Place } from './command.ts';
import { LoadBalancer } from './load-balancer.ts';
import { load, Person } from './people.ts';

interface RunningStore {
  url: string | undefined;
  stop(): Promise<void>;
}

const stores: Record<string, () => Promise<RunningStore>> = {
  SQLite: async () => ({ url: undefined, stop: async () => undefined }),
  Redis: () => startRedis({ appendonly: true }),
  PostgreSQL: () => sharedPostgres(),
};

for (const [name, start] of Object.entries(stores)) {
  describe(`A restart of a server on ${name}`, () => {
    const browser = new Browser();
    let store: RunningStore;
    let place: Place;
    let server: Command;
    let issuer: string;

    before(async () => {
      store = await start();
      place = await newPlace(store.url);
      issuer = place.issuer;
      server = await startCommand(place);
    });

    after(async () => {
      await server.end('SIGKILL');
      await store.stop();
      await place.remove();
    });

    async function restart(): Promise<void> {
      assert.equal(await server.end('SIGTERM'), 0);
      server = await startCommand(place);
      console.log(`      started again in ${server.startedIn} ms`);
    }

    it('The server has the same keys, sessions, tokens, codes, accounts and open pages after a restart', async () => {
      const person = new Person(issuer, 'newcomer');
      await load([person], sleep(500));
      const scope = 'openid offline_access notes:read';
      const forApi = await tokensFor(issuer, { browser, parameters: { scope, resource: apiOf(issuer) } });
      const opaque = await tokensFor(issuer, { browser });
      const waiting = authorizationRequest(issuer, 'demo-notes', { prompt: 'login' });
      const page = await browser.visit(waiting.url);
      const kids = await kidsOf(issuer);

      await restart();

      assert.deepEqual(await kidsOf(issuer), kids);
      await verified(issuer, forApi['access_token'], apiOf(issuer));
      await verified(issuer, forApi['id_token'], 'demo-notes');
      assert.equal(await userinfoStatus(issuer, opaque['access_token']), 200);
      assert.equal((await refresh(issuer, forApi['refresh_token'])).status, 200);
      const callback = await browser.submit(page, ALICE, waiting.redirectUri);
      assert.equal((await exchangeCode(issuer, waiting, new URL(callback.url))).status, 200);
      assert.deepEqual(await person.checkPromises(), []);
    });
  });

  describe(`Two nodes on ${name} behind a load balancer that alternates between them`, () => {
    let store: RunningStore;
    let place: Place;
    const balancer = new LoadBalancer();
    let nodes: [ServerProcess, ServerProcess];
    let issuer: string;

    before(async () => {
      store = await start();
      place = await newPlace(store.url);
      issuer = place.issuer;
      nodes = [await startServerProcess(place), await startServerProcess(place)];
      for (const node of nodes) balancer.add(node);
      await balancer.listen(issuer);
    });

    after(async () => {
      await balancer.close();
      await Promise.all(nodes.map((node) => node.close()));
      await store.stop();
      await place.remove();
    });

    async function restartOneByOne(): Promise<void> {
      for (const at of [0, 1] as const) {
        await balancer.takeOut(nodes[at]);
        await nodes[at].close();
        nodes[at] = await startServerProcess(place);
        balancer.add(nodes[at]);
      }
    }

    it('Each of two nodes knows the pages, sessions, codes and tokens of the other', async () => {
      const browser = new Browser();
      const request = authorizationRequest(issuer);
      const callback = await signIn(browser, request);
      assert.ok(
        'code' in (await answerAtOnce(browser, authorizationRequest(issuer, 'demo-photos', { prompt: 'none' }))),
      );
      const { status, body } = await exchangeCode(issuer, request, callback);
      assert.equal(status, 200, JSON.stringify(body));
      for (let times = 0; times < 3; times += 1) {
        assert.equal(await userinfoStatus(issuer, String(body['access_token'])), 200);
      }
      let token = String(body['refresh_token']);
      const [first, second] = nodes;
      for (const [node, other] of [nodes, [second, first], nodes] as const) {
        const answer = await refresh(node.url, token);
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        assert.deepEqual((await refresh(other.url, token)).body, answer.body);
        token = String(answer.body['refresh_token']);
      }
    });

    it('A rolling restart of two nodes loses nothing and refuses nothing', async () => {
      const people = [1, 2, 3].map((at) => new Person(issuer, `served-${at}`));
      await load(people, restartOneByOne());
      const broken = await Promise.all(people.map((person) => person.checkPromises()));
      assert.deepEqual(broken.flat(), []);
    }).timeout(60_000);
  });
}

async function kidsOf(issuer: string): Promise<unknown[]> {
  const response = await fetch(new URL('/jwks', issuer));
  const { keys } = (await response.json()) as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
}

async function userinfoStatus(at: string, token: string | undefined): Promise<number> {
  const response = await fetch(new URL('/userinfo', at), { headers: { authorization: `Bearer ${token ?? ''}` } });
  await response.arrayBuffer();
  return response.status;
}
