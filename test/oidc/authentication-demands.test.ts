import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, exchangeCode, signIn, tokensFor, type Person } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('What a request demands of a sign-in', () => {
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

  it('is met by the person whom the hint or the sub names', async () => {
    for (const parameters of [{ id_token_hint: ofAdmin }, demanding({ sub: { value: admin } })]) {
      const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
      const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request, ADMIN));
      assert.equal(decodeJwt(String(body['id_token'])).sub, admin);
    }
  });

  it('gives the app an error where another person signs in, also one who was signed in before', async () => {
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

  it('gives the app an error where another person agrees on a further page', async () => {
    const parameters = { id_token_hint: ofAdmin, client_id: 'demo-web' };
    const own = authorizationRequest(server.issuer, 'demo-web');
    const hint = String(
      (await exchangeCode(server.issuer, own, await signIn(new Browser(), own, ADMIN))).body['id_token'],
    );
    const request = authorizationRequest(server.issuer, 'demo-web', { ...parameters, id_token_hint: hint });
    const answer = (await signIn(new Browser(), request, ALICE)).searchParams;
    assert.deepEqual([answer.get('code'), answer.get('error')], [null, 'login_required']);
  });

  it('ends in an error at once, before anybody signs in, where the server has no such acr', async () => {
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

  it('lets through an acr that the server has, and one that is not essential', async () => {
    for (const acr of [{ essential: true, values: ['urn:gold', 'aal1'] }, { values: ['urn:gold'] }, null]) {
      assert.equal(typeof (await answerTo(demanding({ acr }), ALICE))['code'], 'string', JSON.stringify(acr));
    }
  });

  it('is an error of the request where it is neither null nor an object', async () => {
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
