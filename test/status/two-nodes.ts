import type { Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { revoker, type Revoker } from '../../src/status/revoker.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Backend, RunningBackend } from '../storage/backends.ts';
import { tokenRequest } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Two servers of one issuer, and what a command would do to their store. */
export interface TwoNodes {
  readonly issuer: string;
  /** Each answers to its own origin too. */
  readonly nodes: readonly [TestServer, TestServer];
  readonly origins: readonly [string, string];
  /** Its URL. */
  readonly store: string;
  readonly grants: Store;
  readonly revoker: Revoker;
  /** @param origin the node's that is asked */
  machineToken(origin?: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startTwoNodes(backend: Backend, change = (config: Config): Config => config): Promise<TwoNodes> {
  const store: RunningBackend = await backend.start();
  const port = await freePort();
  const withAlias = (config: Config): Config =>
    change({ ...config, listen: { ...config.listen, aliases: [`localhost:${port}`] } });
  const first = await startTestServer({ change: withAlias, hashesSlowly: true, store: store.url });
  const second = await startTestServer({
    change: withAlias,
    hashesSlowly: true,
    store: store.url,
    sameAs: first,
    port,
  });
  const grants = await openStore(store.url, systemClock);
  const { issuer } = first;
  return {
    issuer,
    nodes: [first, second],
    origins: [issuer, `http://localhost:${port}`],
    store: store.url,
    grants,
    revoker: revoker({ grants, clock: systemClock, issuer }),
    async machineToken(origin = issuer) {
      const { body } = await tokenRequest(
        origin,
        { grant_type: 'client_credentials' },
        'demo-service:demo-service-secret',
      );
      return String(body['access_token']);
    },
    async stop() {
      await grants.close();
      await second.close();
      await first.close();
      await store.stop();
    },
  };
}
