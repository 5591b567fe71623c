import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Pushed authorization requests', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());
  afterEach(returnToPresent);

  async function push(request: AuthorizationRequest): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${server.issuer}/par`, { method: 'POST', body: new URL(request.url).searchParams });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** The request as the browser carries it once it was pushed. */
  async function pushed(request: AuthorizationRequest, clientId = request.clientId): Promise<AuthorizationRequest> {
    const { status, body } = await push(request);
    assert.equal(status, 201, JSON.stringify(body));
    const url = new URL('/authorize', server.issuer);
    url.search = new URLSearchParams({ client_id: clientId, request_uri: String(body['request_uri']) }).toString();
    return { ...request, url: url.href };
  }

  it('A pushed request replaces the parameters in the browser', async () => {
    const request = await pushed(authorizationRequest(server.issuer));
    const { status } = await exchangeCode(server.issuer, request, await signIn(alice, request));
    assert.equal(status, 200);
  });

  it('The server validates an authorization request when it is pushed', async () => {
    const { status, body } = await push(authorizationRequest(server.issuer, 'demo-notes', { code_challenge: '' }));
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
    const elsewhere = await push(
      authorizationRequest(server.issuer, 'demo-notes', { redirect_uri: 'https://evil.example/' }),
    );
    assert.deepEqual([elsewhere.status, elsewhere.body['request_uri']], [400, undefined]);
  });

  it('The /par endpoint requires the secret of a confidential client', async () => {
    assert.equal((await push(authorizationRequest(server.issuer, 'demo-web'))).status, 401);
  });

  it('A request_uri works once, for a minute, and only for its client', async () => {
    const used = await pushed(authorizationRequest(server.issuer));
    await signIn(alice, used);
    const foreign = await pushed(authorizationRequest(server.issuer), 'demo-photos');
    const late = await pushed(authorizationRequest(server.issuer));
    const isRefused = async (request: AuthorizationRequest): Promise<void> => {
      const page = await alice.visit(request.url, {}, request.redirectUri);
      assert.ok(page.status === 400 || new URL(page.url).searchParams.has('error'), page.url);
      assert.equal(new URL(page.url).searchParams.get('code'), null);
    };
    await isRefused(used);
    await isRefused(foreign);
    travel(61);
    await isRefused(late);
  });

  it('Only one of several simultaneous uses of a request_uri receives a code', async () => {
    const request = await pushed(authorizationRequest(server.issuer));
    const tries = await Promise.allSettled(Array.from({ length: 5 }, () => answerAtOnce(alice, request)));
    const codes = tries.filter((each) => each.status === 'fulfilled' && each.value['code'] !== undefined);
    assert.equal(codes.length, 1);
  });
});
