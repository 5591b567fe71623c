import assert from 'node:assert/strict';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokensFor, type TokenAnswer } from '../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { serverStores } from './server-stores.ts';

const AT_ONCE = 50;

for (const backend of serverStores) {
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

      it('leaves one live family after 50 parallel refreshes of a token', async () => {
        const { refresh_token: token } = await tokensFor(server.issuer);
        const answers = await all((node) => refresh(node, token));
        const successes = answers.filter(({ status }) => status === 200);
        const successors = new Set(successes.map(({ body }) => body['refresh_token']));
        assert.equal(successors.size, 1);
        for (const { status, body } of answers.filter((answer) => answer.status !== 200)) {
          assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
        }
        const next = await Promise.all(
          [...successors].map((successor) => refresh(nodes.at(-1) ?? '', String(successor))),
        );
        assert.deepEqual(
          next.map(({ status }) => status),
          [200],
        );
      });
    });
  }
}
