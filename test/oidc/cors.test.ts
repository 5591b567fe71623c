import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { refresh, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const LISTED = 'https://notes.example';

const withListedOrigin = (config: Config): Config => ({
  ...config,
  clients: config.clients.map((client) =>
    client.client_id === 'demo-notes' ? { ...client, allowed_origins: [LISTED] } : client,
  ),
});

describe('Requests from other origins', () => {
  let server: TestServer;
  let tokens: Record<string, string>;
  before(async () => {
    server = await startTestServer({ change: withListedOrigin });
    tokens = await tokensFor(server.issuer);
  });
  after(() => server.close());

  const appAt = (offset: number): string => `http://localhost:${Number(new URL(server.issuer).port) + offset}`;

  const post = (path: string, origin: string, parameters: Record<string, string>): Promise<Response> =>
    fetch(server.issuer + path, { method: 'POST', headers: { origin }, body: new URLSearchParams(parameters) });

  async function refreshFrom(origin: string): Promise<Response> {
    const response = await post('/token', origin, {
      grant_type: 'refresh_token',
      client_id: 'demo-notes',
      refresh_token: tokens['refresh_token'] ?? '',
    });
    if (response.ok) tokens = (await response.clone().json()) as Record<string, string>;
    return response;
  }

  const allowed = (response: Response): string | null => response.headers.get('access-control-allow-origin');

  it("The token endpoint allows the origins of the client's redirect URIs and the listed ones", async () => {
    for (const origin of [appAt(1), LISTED]) {
      const response = await refreshFrom(origin);
      assert.deepEqual([response.status, allowed(response)], [200, origin]);
      assert.match(response.headers.get('vary') ?? '', /\bOrigin\b/i);
      assert.equal(response.headers.get('access-control-allow-credentials'), 'true');
    }
  });

  for (const [whose, origin] of [
    ['another client', () => appAt(2)],
    ['no client', () => 'https://evil.example'],
    ['a sandboxed frame', () => 'null'],
    ['a host with the same beginning', () => `${LISTED}.evil.example`],
  ] as const) {
    it(`The token endpoint refuses the origin of ${whose}`, async () => {
      const response = await refreshFrom(origin());
      assert.deepEqual([response.status, allowed(response)], [400, null]);
    });
  }

  it('A request that is refused for its origin leaves the refresh token valid', async () => {
    await refreshFrom('https://evil.example');
    const answer = await refresh(server.issuer, tokens['refresh_token']);
    assert.equal(answer.status, 200);
    tokens = answer.body as Record<string, string>;
  });

  it("/userinfo and /revoke allow only the client's own origins", async () => {
    const userinfo = (origin: string): Promise<Response> =>
      fetch(`${server.issuer}/userinfo`, {
        headers: { origin, authorization: `Bearer ${String(tokens['access_token'])}` },
      });
    assert.equal(allowed(await userinfo(appAt(1))), appAt(1));
    assert.equal(allowed(await userinfo('https://evil.example')), null);
    const parameters = { client_id: 'demo-notes', token: 'x'.repeat(43) };
    assert.equal(allowed(await post('/revoke', LISTED, parameters)), LISTED);
    assert.equal(allowed(await post('/revoke', 'https://evil.example', parameters)), null);
  });

  it('The pages send no CORS headers', async () => {
    for (const path of ['/authorize', '/logout', '/', '/interaction/x']) {
      const response = await fetch(server.issuer + path, { headers: { origin: appAt(1) } });
      assert.equal(allowed(response), null, path);
    }
  });
});
