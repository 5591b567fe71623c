import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { liveTokensIn } from '../grants/refresh/live-tokens.ts';
import { sharedStores } from '../oidc/server-stores.ts';
import { Browser } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { LossyProxy } from './lossy-proxy.ts';
import { RawConnection } from './raw-connection.ts';
import { RefreshingApp } from './refreshing-app.ts';
import { startTwoNodes, type TwoNodes } from './two-nodes.ts';

/** Three times the connections. 500 apps with 100 refreshes each take a quarter of an hour. */
const APPS = Number(process.env['SOAK_APPS'] ?? 200);
const REFRESHES = Number(process.env['SOAK_REFRESHES'] ?? 20);
const CONNECTIONS = 64;
const EVERY_THIRD = 3;
const MINUTE = 60_000;

describe('Apps that lose every third response, with two nodes', function () {
  this.timeout(20 * MINUTE);
  let server: TwoNodes;
  let proxy: LossyProxy;
  let connections: RawConnection[];

  afterEach(async () => {
    for (const connection of connections) connection.close();
    await proxy.close();
    await server.stop();
  });

  async function start(...settings: Parameters<typeof startTwoNodes>): Promise<void> {
    server = await startTwoNodes(...settings);
    proxy = new LossyProxy(server.nodes.map(({ url }) => Number(new URL(url).port)), EVERY_THIRD); // prettier-ignore
    const port = await proxy.listen();
    connections = Array.from({ length: CONNECTIONS }, () => new RawConnection(port));
  }

  /** Two people at many browsers, each with the three apps of the demo; in every fourth browser the apps have keys. */
  async function signedIn(amount: number): Promise<RefreshingApp[]> {
    const { issuer, port } = server.place;
    const straight = new RawConnection(port);
    const apps: RefreshingApp[] = [];
    for (let turn = 0; apps.length < amount; turn += 1) {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(issuer), turn % 2 === 0 ? ALICE : ADMIN);
      for (const clientId of ['demo-notes', 'demo-photos', 'demo-web'] as const) {
        apps.push(await RefreshingApp.begin(issuer, { clientId, hasKey: turn % 4 === 0 }, browser, straight));
      }
    }
    straight.close();
    return apps.slice(0, amount);
  }

  /** Every connection takes the next app that has not refreshed often enough, for one refresh. */
  async function refreshAll(apps: readonly RefreshingApp[], times: number): Promise<void> {
    const waiting = [...apps];
    const work = async (connection: RawConnection): Promise<void> => {
      for (let app = waiting.shift(); app !== undefined; app = waiting.shift()) {
        await app.refresh(connection);
        if (app.refusal === undefined && app.refreshes < times) waiting.push(app);
      }
    };
    await Promise.all(connections.map(work));
  }

  async function tellProgress(apps: readonly RefreshingApp[], work: Promise<void>): Promise<void> {
    const began = performance.now();
    const print = (): void => {
      const refreshes = apps.reduce((sum, app) => sum + app.refreshes, 0);
      const seconds = Math.round((performance.now() - began) / 1000);
      console.log(`      ${seconds} s: ${refreshes} refreshes, ${proxy.dropped} answers lost`);
    };
    const progress = setInterval(print, 10_000);
    await work.finally(() => {
      clearInterval(progress);
    });
    print();
    const longest = Math.max(...apps.map((app) => app.longest));
    console.log(`      the longest took ${(longest / 1000).toFixed(1)} s with all its tries`);
  }

  for (const backend of sharedStores) {
    it(`Apps that lose every third response keep their sessions and one refresh token family each, on ${backend.name}`, async () => {
      await start({}, () => backend.start());
      const apps = await signedIn(APPS);
      await tellProgress(apps, refreshAll(apps, REFRESHES));
      assert.deepEqual(refusalsOf(apps), []);
      assert.ok(proxy.dropped > (APPS * REFRESHES) / EVERY_THIRD, `only ${proxy.dropped} answers were lost`);
      assert.equal(proxy.refreshTokens.size, APPS * REFRESHES, 'more tokens left the nodes than apps have used');
      const store = await openStore(server.place.store, systemClock);
      try {
        for (const { refreshToken } of apps) assert.equal((await liveTokensIn(store, refreshToken)).refresh, 1);
      } finally {
        await store.close();
      }
    });
  }

  it('Apps that lose every third response lose sessions without a refresh window', async () => {
    await start({ tokens: { refresh_window: 0 } });
    const apps = await signedIn(12);
    await refreshAll(apps, 10);
    assert.ok(refusalsOf(apps).length > 6, `only ${refusalsOf(apps).length} sessions were lost`);
  });
});

function refusalsOf(apps: readonly RefreshingApp[]): string[] {
  return apps.flatMap(({ refusal }) => refusal ?? []);
}
