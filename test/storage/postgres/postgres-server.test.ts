import assert from 'node:assert/strict';
import type { Config } from '../../../src/config/schema.ts';
import { Browser } from '../../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn } from '../../support/flows.ts';
import { freePort } from '../../support/free-port.ts';
import { sharedPostgres } from '../../support/postgres.ts';
import { startRedis } from '../../support/redis.ts';
import { startTestServer } from '../../support/server.ts';

interface Place {
  grants: string;
  records: string;
  stop: () => Promise<void>;
}

const places: Record<string, () => Promise<Place>> = {
  'PostgreSQL alone': async () => {
    const { url, stop } = await sharedPostgres();
    return { grants: url, records: url, stop };
  },
  'records in PostgreSQL and grants in Redis': async () => {
    const [postgres, redis] = await Promise.all([sharedPostgres(), startRedis()]);
    const stop = async () => {
      await Promise.all([postgres.stop(), redis.stop()]);
    };
    return { grants: redis.url, records: postgres.url, stop };
  },
};

for (const [name, start] of Object.entries(places)) {
  describe(`Two nodes on ${name}`, () => {
    it('Two nodes on PostgreSQL sign a person in, exchange a code once, refresh, and still work after a restart', async () => {
      await using closing = new AsyncDisposableStack();
      const { grants, records, stop } = await start();
      closing.defer(stop);
      const ports = [await freePort(), await freePort()] as const;
      const aliases = ports.map((port) => `localhost:${port}`);
      const change = (config: Config): Config => ({
        ...config,
        stores: { ...config.stores, records },
        listen: { ...config.listen, aliases },
      });
      const first = closing.use(await startTestServer({ store: grants, change }));
      const node = async (port: number) => {
        closing.use(await startTestServer({ store: grants, change, sameAs: first, port }));
        return `http://localhost:${port}`;
      };
      const second = await node(ports[0]);

      const raced = authorizationRequest(first.issuer);
      const callback = await signIn(new Browser(), raced);
      const nodes = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? first.issuer : second));
      const answers = await Promise.all(nodes.map((url) => exchangeCode(url, raced, callback)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);

      const request = authorizationRequest(first.issuer);
      const tokens = await exchangeCode(first.issuer, request, await signIn(new Browser(), request));
      const { status, body } = await refresh(second, String(tokens.body['refresh_token']));
      assert.equal(status, 200);
      const restarted = await node(ports[1]);
      assert.equal((await refresh(restarted, String(body['refresh_token']))).status, 200);
      assert.equal((await fetch(`${restarted}/readyz`)).status, 200);
    });
  });
}
