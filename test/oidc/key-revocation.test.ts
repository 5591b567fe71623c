import assert from 'node:assert/strict';
import { decodeProtectedHeader } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { createVerifier, InvalidToken } from '../../src/resource-server/resource-server.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest, refresh, tokensFor } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { keysCommand } from '../support/keys-command.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import { serverStores } from './server-stores.ts';
import { until } from '../support/until.ts';

for (const backend of serverStores) {
  describe(`latchkey keys revoke, beside two servers on ${backend.name}`, function () {
    this.timeout(60_000);
    let store: RunningBackend;
    let servers: TestServer[];
    let first: TestServer;
    let nodes: string[];

    before(async () => {
      store = await backend.start();
      const port = await freePort();
      const change = (config: Config): Config => ({
        ...config,
        listen: { ...config.listen, aliases: [`localhost:${port}`] },
      });
      first = await startTestServer({ change, store: store.url });
      servers = [first, await startTestServer({ change, store: store.url, sameAs: first, port })];
      nodes = [first.issuer, `http://localhost:${port}`];
    });
    after(async () => {
      for (const server of servers.toReversed()) await server.close();
      await store.stop();
    });

    const revoke = (kid: string): Promise<void> =>
      keysCommand({ ...first, store: store.url }, 'revoke', '--yes', '--', kid);

    async function untilUnpublished(node: string, kid: string): Promise<void> {
      await until(async () => !(await (await fetch(`${node}/jwks`)).text()).includes(kid));
    }

    it('All nodes unpublish a revoked key and sign with another, and the kit refuses its access tokens', async () => {
      const { issuer } = first;
      const browser = new Browser();
      const parameters = { scope: 'openid offline_access notes:read', prompt: 'consent' };
      const tokens = await tokensFor(issuer, { browser, parameters });
      const verifiers = nodes.map((node) =>
        createVerifier({ issuer, audience: apiOf(issuer), jwksUri: `${node}/jwks`, maxAge: 0 }),
      );
      for (const verifier of verifiers) await verifier.verify(tokens['access_token'] ?? '');
      const kid = decodeProtectedHeader(tokens['access_token'] ?? '').kid ?? '';

      await revoke(kid);
      for (const node of nodes) await untilUnpublished(node, kid);
      for (const verifier of verifiers) {
        await assert.rejects(
          verifier.verify(tokens['access_token'] ?? ''),
          (error) => error instanceof InvalidToken && error.fault === 'unknown_key',
        );
      }

      const renewed = await refresh(issuer, tokens['refresh_token']);
      assert.equal(renewed.status, 200);
      for (const verifier of verifiers) await verifier.verify(String(renewed.body['access_token']));
      assert.ok(
        'code' in (await answerAtOnce(browser, authorizationRequest(issuer, 'demo-notes', { prompt: 'none' }))),
      );
    });

    it('The server refuses the ID tokens of a revoked key as hints', async () => {
      const { issuer } = first;
      const browser = new Browser();
      const { id_token = '' } = await tokensFor(issuer, { browser });
      const kid = decodeProtectedHeader(id_token).kid ?? '';
      const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none', id_token_hint: id_token });
      assert.ok('code' in (await answerAtOnce(browser, request)));
      await revoke(kid);
      await untilUnpublished(issuer, kid);
      assert.equal((await answerAtOnce(browser, request))['error'], 'invalid_request');
    });
  });
}
