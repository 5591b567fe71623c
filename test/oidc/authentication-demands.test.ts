import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, exchangeCode, signIn, tokensFor, type Person } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Authentication requirements in a request', () => {
  let server: TestServer;
  let ofAdmin: string;
  let admin: string;
  before(async () => {
    server = await startTestServer();
    const tokens = await tokensFor(server.issuer, { person: ADMIN });
    ofAdmin = String(tokens['id_token']);
    admin = String(decodeJwt(ofAdmin).sub);
  });
  after(() => server.close());

  const demanding = (idToken: object) => ({ claims: JSON.stringify({ id_token: idToken }) });

  async function answerTo(
    parameters: Record<string, string>,
    person: Person,
    browser = new Browser(),
  ): Promise<Record<string, string>> {
    const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
    return Object.fromEntries((await signIn(browser, request, person)).searchParams);
  }

  it('The person named by the id_token_hint or the sub claim can sign in', async () => {
    for (const parameters of [{ id_token_hint: ofAdmin }, demanding({ sub: { value: admin } })]) {
      const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
      const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request, ADMIN));
      assert.equal(decodeJwt(String(body['id_token'])).sub, admin);
    }
  });

  it('The app receives login_required if another person signs in than the one that it named', async () => {
    for (const parameters of [{ id_token_hint: ofAdmin }, demanding({ sub: { value: admin } })]) {
      const alice = new Browser();
      for (let times = 0; times < 2; times += 1) {
        const { code, error } = await answerTo(parameters, ALICE, alice);
        assert.deepEqual([code, error], [undefined, 'login_required']);
      }
      const { code, error } = await answerTo({ ...parameters, prompt: 'none' }, ALICE, alice);
      assert.deepEqual([code, error], [undefined, 'login_required']);
    }
  });

  it('The app receives login_required if another person gives consent than the one that it named', async () => {
    const parameters = { id_token_hint: ofAdmin, client_id: 'demo-web' };
    const own = authorizationRequest(server.issuer, 'demo-web');
    const hint = String(
      (await exchangeCode(server.issuer, own, await signIn(new Browser(), own, ADMIN))).body['id_token'],
    );
    const request = authorizationRequest(server.issuer, 'demo-web', { ...parameters, id_token_hint: hint });
    const answer = (await signIn(new Browser(), request, ALICE)).searchParams;
    assert.deepEqual([answer.get('code'), answer.get('error')], [null, 'login_required']);
  });

  it('The server answers unmet_authentication_requirements to an unknown essential acr before any sign-in', async () => {
    for (const acr of [
      { essential: true, values: ['urn:gold'] },
      { essential: true, value: 'urn:gold' },
      { essential: true, values: 'urn:gold' },
      { essential: true, values: [] },
    ]) {
      for (const more of [{}, { prompt: 'none' }]) {
        const request = authorizationRequest(server.issuer, 'demo-notes', { ...demanding({ acr }), ...more });
        const page = await new Browser().visit(request.url, {}, request.redirectUri);
        assert.equal(new URL(page.url).searchParams.get('error'), 'unmet_authentication_requirements', page.html);
        const body = new URLSearchParams(new URL(request.url).search);
        const pushed = await fetch(`${server.issuer}/par`, { method: 'POST', body });
        assert.equal(pushed.status, 400);
        assert.match(await pushed.text(), /"unmet_authentication_requirements"/);
      }
    }
  });

  it('The server accepts a supported essential acr, and an unknown voluntary one', async () => {
    for (const acr of [{ essential: true, values: ['urn:gold', 'aal1'] }, { values: ['urn:gold'] }, null]) {
      assert.equal(typeof (await answerTo(demanding({ acr }), ALICE))['code'], 'string', JSON.stringify(acr));
    }
  });

  it('The server refuses a claims member that is neither null nor an object', async () => {
    for (const member of [5, true, 'x', [], [{}]]) {
      for (const name of ['sub', 'acr', 'email']) {
        for (const part of ['id_token', 'userinfo']) {
          const claims = JSON.stringify({ [part]: { [name]: member } });
          const request = authorizationRequest(server.issuer, 'demo-notes', { claims });
          const page = await new Browser().visit(request.url, {}, request.redirectUri);
          assert.equal(new URL(page.url).searchParams.get('error'), 'invalid_request', `${claims}: ${page.html}`);
        }
      }
    }
  });
});
