import assert from 'node:assert/strict';
import { liveTokens } from '../grants/refresh/live-tokens.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokensFor, type TokenAnswer } from '../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { sharedStores } from './server-stores.ts';

const AT_ONCE = 50;

for (const backend of sharedStores) {
  for (const processes of [1, 2]) {
    describe(`Single use on ${backend.name} with ${processes} server process${processes === 1 ? '' : 'es'}`, () => {
      let store: RunningBackend;
      let server: TestServer;
      let second: ServerProcess | undefined;
      let nodes: string[];

      before(async () => {
        store = await backend.start();
        server = await startTestServer({ store: store.url });
        const { directory, issuer } = server;
        second = processes === 2 ? await startServerProcess({ directory, issuer, store: store.url }) : undefined;
        nodes = [issuer, ...(second === undefined ? [] : [second.url])];
      });

      after(async () => {
        await second?.close();
        await server.close();
        await store.stop();
      });

      /** Asks as often as there are requests at once, of each node in turn. */
      const all = (ask: (node: string) => Promise<TokenAnswer>): Promise<TokenAnswer[]> =>
        Promise.all(Array.from({ length: AT_ONCE }, (_, at) => ask(nodes[at % nodes.length] ?? '')));

      it('lets one of 50 parallel exchanges of a code succeed', async () => {
        const request = authorizationRequest(server.issuer);
        const callback = await signIn(new Browser(), request);
        const answers = await all((node) => exchangeCode(node, request, callback));
        assert.equal(answers.filter(({ status }) => status === 200).length, 1);
        for (const { status, body } of answers.filter((answer) => answer.status !== 200)) {
          assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
        }
      });

      it('gives 50 parallel refreshes of a token one answer, and leaves one live token', async () => {
        const { refresh_token: token = '' } = await tokensFor(server.issuer);
        const answers = await all((node) => refresh(node, token));
        assert.equal(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size, 1);
        const body: Record<string, unknown> = answers[0]?.body ?? {};
        assert.equal(answers[0]?.status, 200, JSON.stringify(body));
        // The code's access token and this answer's.
        assert.deepEqual(await liveTokens(store.url, token), { refresh: 1, access: 2 });
        const last = nodes.at(-1) ?? '';
        assert.equal((await refresh(last, String(body['refresh_token']))).status, 200);
        assert.equal((await refresh(last, token)).status, 400);
        assert.deepEqual(await liveTokens(store.url, token), { refresh: 0, access: 0 });
      });
    });
  }
}
