import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { liveSessions } from '../../src/sessions/access.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { NodePair } from '../revocation/node-pair.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, signIn, tokensFor } from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** An app of former times, to which tokens come through the browser, and a machine that no API is registered for. */
function withOddClients(config: Config): Config {
  const change = (client: Config['clients'][number]): Config['clients'][number] => {
    if (client.client_id === 'demo-web')
      return { ...client, profile: 'legacy', first_party: true, response_types: ['code', 'id_token token'] };
    if (client.client_id !== 'demo-service') return client;
    const { default_resource: _, ...machine } = client;
    return { ...machine, resources: [] };
  };
  return { ...config, clients: config.clients.map(change) };
}

for (const backend of serverStores) {
  describe(`Tokens that might outlive a revocation on ${backend.name}`, function () {
    this.timeout(60_000);
    let setup: NodePair;
    before(async () => {
      setup = await NodePair.start(backend, withOddClients);
    });
    after(() => setup.stop());

    /** Asks silently, and says what came back in the fragment. */
    async function askForToken(browser: Browser): Promise<string | undefined> {
      const { issuer } = setup.node;
      const wants = { response_type: 'id_token token', scope: 'openid notes:read', resource: apiOf(issuer) };
      const without = { code_challenge: '', code_challenge_method: '' };
      const request = authorizationRequest(issuer, 'demo-web', { prompt: 'none', ...wants, ...without });
      const page = await browser.visit(request.url, {}, request.redirectUri);
      assert.ok(page.status < 500, page.html);
      return new URLSearchParams(new URL(page.url).hash.slice(1)).get('access_token') ?? undefined;
    }

    it('A client keeps no active token from silent requests that it sent while its session ended', async () => {
      const { issuer } = setup.node;
      const tokens: string[] = [];
      for (const pause of [5, 10, 20, 40]) {
        const browser = new Browser();
        const { id_token = '' } = await tokensFor(issuer, { browser });
        const sessions = await liveSessions(setup.stores.grants, decodeJwt(id_token).sub ?? '');
        const asked = Array.from({ length: 16 }, async (_, at) => sleep(at * 2).then(() => askForToken(browser)));
        await sleep(pause);
        for (const { uid } of sessions) await setup.operations.endSession(uid);
        tokens.push(...(await Promise.all(asked)).flatMap((token) => token ?? []));
        assert.equal(await askForToken(browser), undefined);
      }
      await until(async () => !(await Promise.all(tokens.map((token) => setup.isActive(token)))).includes(true));
    });

    it('The revocation of everything reaches a machine token that has no account and no API', async () => {
      const machine = await setup.machineToken();
      assert.equal(machine.includes('.'), false);
      assert.equal(await setup.isActive(machine), true);
      await setup.operations.endBefore('everybody');
      assert.equal(await setup.isActive(machine), false);
    });

    it('A session from before the revocation of everything yields no token', async () => {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(setup.node.issuer));
      await setup.operations.endBefore('everybody');
      assert.equal(await askForToken(browser), undefined);
    });
  });
}
