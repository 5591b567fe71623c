import assert from 'node:assert/strict';
import { createSecretKey, createHmac } from 'node:crypto';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { returnToPresent } from '../support/clock.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const SECRET = 'k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE';
const ENDPOINTS = {
  '/token': { grant_type: 'client_credentials' },
  '/introspect': { token: 'x' },
  '/revoke': { token: 'x' },
  '/par': { response_type: 'code' },
  '/device_authorization': { scope: 'openid' },
  '/backchannel_authentication': { scope: 'openid', login_hint: 'alice@example.com' },
};

/** Two machines, and a proxy whose word is taken for where a caller is. */
function withMachines(config: Config): Config {
  const machine = config.clients.find(({ client_id }) => client_id === 'demo-service');
  assert.ok(machine !== undefined);
  const more = { ...machine, secret: new Secret(SECRET) };
  return {
    ...config,
    listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
    clients: [
      ...config.clients,
      ...['one', 'two'].map((id) => ({ ...more, client_id: id })),
      { ...more, client_id: 'signing', token_endpoint_auth_method: 'client_secret_jwt' as const },
    ],
  };
}

interface Answer {
  status: number;
  retryAfter: number;
  type: string;
  body: Record<string, unknown>;
}

for (const store of serverStores) {
  describe(`Client secret guessing on ${store.name}`, () => {
    let server: TestServer;
    let node: TestServer;
    let backend: Awaited<ReturnType<typeof store.start>>;
    let addresses = 0;
    before(async () => {
      backend = await store.start();
      server = await startTestServer({ change: withMachines, store: backend.url });
      node = await startTestServer({ change: withMachines, store: backend.url, sameAs: server, port: 0 });
    });
    after(async () => {
      await Promise.all([server.close(), node.close()]);
      await backend.stop();
    });
    afterEach(returnToPresent);

    const newAddress = (): string => `192.0.2.${(addresses += 1)}`;

    async function ask(
      from: string,
      parameters: Record<string, string>,
      { path = '/token', basic = '', at = server }: { path?: string; basic?: string; at?: TestServer } = {},
    ): Promise<Answer> {
      const response = await fetch(`http://127.0.0.1:${at.port}${path}`, {
        method: 'POST',
        headers: {
          'x-forwarded-host': new URL(server.issuer).host,
          'x-forwarded-for': from,
          ...(basic !== '' && { authorization: `Basic ${btoa(basic)}` }),
        },
        body: new URLSearchParams(parameters),
      });
      const body = (await response.json()) as Record<string, unknown>;
      const type = response.headers.get('content-type') ?? '';
      return { status: response.status, retryAfter: Number(response.headers.get('retry-after')), type, body };
    }

    const guess = (from: string, secret: string, client = 'one', at = server): Promise<Answer> =>
      ask(from, { grant_type: 'client_credentials' }, { basic: `${client}:${secret}`, at });

    /** @returns how many were answered with each status */
    function tally(answers: readonly Answer[]): Record<number, number> {
      const counts: Record<number, number> = {};
      for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    }

    async function guessMany(from: string, client = 'one', count = 40, at = server): Promise<Answer[]> {
      return Promise.all(Array.from({ length: count }, (_, index) => guess(from, `wrong ${index}`, client, at)));
    }

    /** The pause grows with each wrong secret, so that it outlasts two requests on a slow machine too. */
    async function assertRefused(from: string, right: () => Promise<number>): Promise<void> {
      let wrong = 0;
      await until(async () => (await guess(from, `further ${(wrong += 1)}`)).status === 429 && (await right()) === 429);
    }

    it('The token endpoint slows down guesses of a client secret with a 429 in JSON that has Retry-After', async () => {
      const answers = await guessMany(newAddress());
      const counts = tally(answers);
      assert.ok((counts[401] ?? 0) <= 15 && (counts[401] ?? 0) + (counts[429] ?? 0) === 40, JSON.stringify(counts));
      const slowed = answers.find(({ status }) => status === 429);
      assert.equal(slowed?.body['error'], 'temporarily_unavailable');
      assert.match(slowed.type, /^application\/json/);
      assert.ok(slowed.retryAfter >= 1);
    });

    for (const [path, parameters] of Object.entries(ENDPOINTS)) {
      it(`The endpoint ${path} slows down guesses of a client secret by header and by body`, async () => {
        const from = newAddress();
        const answers: Answer[] = [];
        for (let index = 0; index < 30; index += 1) {
          const secret = `wrong ${index}`;
          answers.push(
            index % 2 === 0
              ? await ask(from, parameters, { path, basic: `one:${secret}` })
              : await ask(from, { ...parameters, client_id: 'one', client_secret: secret }, { path }),
          );
        }
        const counts = tally(answers);
        assert.ok((counts[429] ?? 0) >= 10 && (counts[401] ?? 0) + (counts[429] ?? 0) === 30, JSON.stringify(counts));
      });
    }

    it('The server refuses even the right client secret during a pause, also within one burst', async () => {
      const from = newAddress();
      await guessMany(from);
      await assertRefused(from, async () => (await guess(from, SECRET)).status);
      const burst = newAddress();
      const wrong = guessMany(burst);
      const right = guess(burst, SECRET);
      await wrong;
      assert.equal((await right).status, 429);
    });

    it('The revocation stream, which checks secrets itself, refuses even the right client secret during a pause', async () => {
      const listen = async (from: string, secret: string): Promise<number> => {
        const headers = { 'x-forwarded-for': from, authorization: `Basic ${btoa(`one:${secret}`)}` };
        const response = await fetch(`${server.issuer}/status/events`, { headers });
        await response.body?.cancel();
        return response.status;
      };
      const from = newAddress();
      const statuses: number[] = [];
      for (let index = 0; index < 30; index += 1) statuses.push(await listen(from, `wrong ${index}`));
      assert.ok(statuses.filter((status) => status === 429).length >= 10, statuses.join(' '));
      await assertRefused(from, () => listen(from, SECRET));
      assert.equal(await listen(newAddress(), SECRET), 200);
    });

    it('All nodes together slow down the secret guesses from one address', async () => {
      const from = newAddress();
      await guessMany(from);
      const there = tally(await guessMany(from, 'one', 10, node));
      assert.ok((there[401] ?? 0) <= 3, JSON.stringify(there));
      await assertRefused(from, async () => (await guess(from, SECRET, 'one', node)).status);
    });

    it('Guesses of a secret do not lock out the client at other addresses, nor other clients at the same address', async () => {
      const from = newAddress();
      await guessMany(from);
      assert.equal((await guess(newAddress(), SECRET)).status, 200);
      assert.equal((await guess(from, SECRET, 'two')).status, 200);
    });

    it('The server does not slow down an instance that keeps sending the previous client secret', async () => {
      const from = newAddress();
      for (let index = 0; index < 40; index += 1) assert.equal((await guess(from, 'the former one')).status, 401);
      assert.equal((await guess(from, SECRET)).status, 200);
    });

    it('The answers to secret guesses do not reveal which clients exist', async () => {
      const statuses: unknown[] = [];
      for (const client of ['two', 'nobody', 'demo-notes']) {
        const answers = await guessMany(newAddress(), client);
        const bodies = new Set(answers.map(({ body }) => JSON.stringify(body)));
        statuses.push([...bodies].toSorted());
        assert.ok((tally(answers)[429] ?? 0) >= 20, client);
      }
      assert.deepEqual(statuses[1], statuses[0]);
      assert.deepEqual(statuses[2], statuses[0]);
    });

    it('The server slows down guesses for made-up client names without counting each name', async () => {
      const from = newAddress();
      const statuses: number[] = [];
      for (let turn = 0; turn < 6; turn += 1) {
        const names = Array.from({ length: 40 }, (_, index) => `made-up-${turn}-${index}`);
        statuses.push(...(await Promise.all(names.map(async (name) => (await guess(from, 'wrong', name)).status))));
      }
      assert.ok(statuses.filter((status) => status === 429).length >= 60, statuses.join(' '));
      assert.equal((await guess(from, SECRET)).status, 200);
    });

    it('The server slows down guesses of a secret that signs client assertions', async () => {
      const from = newAddress();
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const signedBy = (secret: string): string => {
        const exp = Math.floor(Date.now() / 1000) + 60;
        const claims = { iss: 'signing', sub: 'signing', aud: server.issuer, jti: crypto.randomUUID(), exp };
        const text = `${part({ alg: 'HS256' })}.${part(claims)}`;
        return `${text}.${createHmac('sha256', createSecretKey(Buffer.from(secret)))
          .update(text)
          .digest('base64url')}`;
      };
      const present = (secret: string, address = from): Promise<Answer> =>
        ask(address, {
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: signedBy(secret),
        });
      const counts = tally(await Promise.all(Array.from({ length: 40 }, (_, index) => present(`wrong ${index}`))));
      assert.ok((counts[429] ?? 0) >= 20, JSON.stringify(counts));
      assert.deepEqual([(await present(SECRET)).status, (await present(SECRET, newAddress())).status], [429, 200]);
    });
  });
}
