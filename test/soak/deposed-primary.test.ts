import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { newPlace, type Place } from '../durability/command.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, type AuthorizationRequest } from '../support/flows.ts';
import { startSentinelSet, type SentinelSet } from '../support/sentinel-set.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { until } from '../support/until.ts';

const APP = 'demo-notes';
/** How soon a node that was cut off must not be ready any more, in milliseconds. */
const UNREADY_WITHIN = 5000;

interface Code {
  request: AuthorizationRequest;
  callback: URL;
}

/** What the nodes have acknowledged under load, and what must hold ever after. */
interface Acknowledged {
  /** Codes that were presented to both nodes at once, and how many tokens each gave. */
  doubled: { code: Code; given: number }[];
  /** Refresh tokens that were given back. */
  revoked: string[];
  /** Those that nobody has used. */
  held: string[];
}

describe('Two nodes whose Redis primary is deposed under load', function () {
  this.timeout(600_000);
  let set: SentinelSet;
  let place: Place;
  let nodes: [ServerProcess, ServerProcess];
  let browsers: Browser[];

  before(async () => {
    set = await startSentinelSet({
      ...{ replicas: 2, sentinels: 3 },
      extra: ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '5'],
    });
    place = await newPlace(set.url);
    const node = { ...place, durability: 'replicated' } as const;
    nodes = [await startServerProcess({ ...node, at: place.port }), await startServerProcess(node)];
    browsers = [new Browser(), new Browser(), new Browser()];
    for (const browser of browsers) await signIn(browser, authorizationRequest(place.issuer, APP));
  });
  after(async () => {
    for (const node of nodes) await node.close();
    await place.remove();
    await set.stop();
  });

  const nodeAt = (at: number): string => nodes[at % 2]?.url ?? place.issuer;
  const isReady = async (url: string): Promise<boolean> => {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(UNREADY_WITHIN) }).catch(() => undefined);
    return answer?.status === 200;
  };
  const areReady = async (): Promise<boolean> =>
    (await Promise.all(nodes.map(({ url }) => isReady(url)))).every(Boolean);

  /** A code that is given without a page. @returns undefined where the node cannot serve */
  async function silentCode(browser: Browser | undefined, at: number): Promise<Code | undefined> {
    const request = authorizationRequest(place.issuer, APP, { prompt: 'none' });
    const url = request.url.replace(place.issuer, nodeAt(at));
    const page = await browser?.visit(url, {}, request.redirectUri).catch(() => undefined);
    if (!page?.url.startsWith(request.redirectUri)) return undefined;
    const callback = new URL(page.url);
    return callback.searchParams.has('code') ? { request, callback } : undefined;
  }

  const given = async (url: string, { request, callback }: Code): Promise<string | undefined> => {
    const answer = await exchangeCode(url, request, callback).catch(() => undefined);
    return answer?.status === 200 ? String(answer.body['refresh_token']) : undefined;
  };

  async function revoke(url: string, token: string): Promise<boolean> {
    const body = new URLSearchParams({ token, client_id: APP });
    return fetch(`${url}/revoke`, { method: 'POST', body }).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** Goes on until it is stopped; each kind of use has a session and a grant of its own. */
  function load(record: Acknowledged): () => Promise<void> {
    let isOver = false;
    const use = async (kind: number, work: (code: Code, at: number) => Promise<void>) => {
      for (let at = kind; !isOver; at += 1) {
        const code = await silentCode(browsers[kind], at);
        if (code !== undefined) await work(code, at);
        await sleep(20);
      }
    };
    const working = [
      use(0, async (code) => {
        const tokens = await Promise.all(nodes.map(({ url }) => given(url, code)));
        record.doubled.push({ code, given: tokens.filter((token) => token !== undefined).length });
      }),
      use(1, async (code, at) => {
        const token = await given(nodeAt(at), code);
        if (token !== undefined && (await revoke(nodeAt(at + 1), token))) record.revoked.push(token);
      }),
      use(2, async (code, at) => {
        const token = await given(nodeAt(at + 1), code);
        if (token !== undefined) record.held.push(token);
      }),
    ];
    return async () => {
      isOver = true;
      await Promise.all(working);
    };
  }

  async function assertHolds({ doubled, revoked, held }: Acknowledged): Promise<void> {
    const counts = `${doubled.length} codes, ${revoked.length} revoked, ${held.length} held`;
    assert.ok(doubled.length > 5 && revoked.length > 5 && held.length > 5, counts);
    for (const [at, token] of held.entries())
      assert.equal((await refresh(nodeAt(at), token)).status, 200, `held, ${counts}`);
    for (const [at, token] of revoked.entries()) assert.equal((await refresh(nodeAt(at), token)).status, 400, counts);
    for (const [at, { code, given: first }] of doubled.entries()) {
      const again = await given(nodeAt(at), code);
      assert.ok(first + (again === undefined ? 0 : 1) <= 1, `a code gave ${first} and then one more, ${counts}`);
    }
  }

  async function under(fault: (former: SentinelSet['servers'][number]) => Promise<void>): Promise<void> {
    const record: Acknowledged = { doubled: [], revoked: [], held: [] };
    const port = await set.primary();
    const former = set.servers.find((server) => server.port === port) ?? assert.fail('no primary');
    const stop = load(record);
    await sleep(3000);
    await fault(former);
    await set.moved(former);
    await until(areReady, 120_000);
    await sleep(3000);
    await stop();
    await assertHolds(record);
    await set.heal(former);
    await until(areReady, 120_000);
  }

  it('Two nodes lose and repeat nothing if the Redis primary loses its Sentinels', async () => {
    await under((former) => set.cut(former));
  });

  it('Two nodes lose and repeat nothing if the Redis primary loses its Sentinels and replicas', async () => {
    await under((former) => set.cut(former, { replicas: true }));
  });

  it('Two nodes lose and repeat nothing in a planned Redis failover', async () => {
    await under(() => set.failover());
  });

  it('Two nodes are not ready within five seconds after they lose the Sentinels', async () => {
    assert.equal(await areReady(), true);
    for (const sentinel of set.sentinels) sentinel.process.kill('SIGSTOP');
    await sleep(UNREADY_WITHIN);
    assert.deepEqual(await Promise.all(nodes.map(({ url }) => isReady(url))), [false, false]);
    for (const sentinel of set.sentinels) sentinel.process.kill('SIGCONT');
    await until(areReady, 120_000);
  });
});
