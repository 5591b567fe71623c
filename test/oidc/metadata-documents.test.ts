import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Config } from '../../src/config/schema.ts';
import { Browser, type Page } from '../support/browser.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { authorizationRequest, exchangeCode, signIn, ALICE } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const REDIRECT = 'https://app.example/callback';
const API = 'http://localhost:3003';

describe('Client ID metadata documents', () => {
  const certificates = getCACertificates('default');
  let host: string;
  let site: Server;
  let server: TestServer;
  /** What the site has at each path. */
  const documents = new Map<string, unknown>();
  let asked: string[] = [];
  /** How the site names the type of its documents. */
  let contentType = 'application/json';

  before(async () => {
    const certificate = selfSignedCertificate();
    setDefaultCACertificates([...certificates, certificate.cert]);
    site = createServer(certificate, (request, response) => {
      asked.push(request.url ?? '');
      const document = documents.get(request.url ?? '');
      if (document === undefined) response.writeHead(302, { location: `https://${host}/good` }).end();
      else response.setHeader('content-type', contentType).end(JSON.stringify(document));
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    host = `localhost:${(site.address() as AddressInfo).port}`;
    server = await startTestServer({ change: open() });
  });
  after(async () => {
    await server.close();
    site.closeAllConnections();
    site.close();
    setDefaultCACertificates(certificates);
  });
  beforeEach(() => {
    [asked, contentType] = [[], 'application/json'];
  });

  const open =
    (changes: Partial<Config['client_id_metadata_documents']> = {}, allow = [host]) =>
    (config: Config): Config => ({
      ...config,
      outgoing: { allow },
      client_id_metadata_documents: {
        ...config.client_id_metadata_documents,
        enabled: true,
        allow: [host],
        max_per_hour: 1000,
        ...changes,
      },
    });

  /** Puts a document at a path of its own. @returns the client's id */
  function publish(path: string, changes: object = {}): string {
    const id = `https://${host}/${path}`;
    documents.set(`/${path}`, {
      client_id: id,
      client_name: 'Notebook',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      ...changes,
    });
    return id;
  }

  const request = (clientId: string, { issuer } = server, parameters: Record<string, string> = {}) =>
    authorizationRequest(issuer, clientId, { redirect_uri: REDIRECT, ...parameters });

  const refused = async (clientId: string, at = server): Promise<Page> => {
    const page = await new Browser().visit(request(clientId, at).url, {}, REDIRECT);
    assert.equal(page.status, 400, page.url);
    return page;
  };

  it('The metadata announces the support for client ID metadata documents', async () => {
    const metadata = await fetch(`${server.issuer}/.well-known/oauth-authorization-server`);
    assert.match(await metadata.text(), /"client_id_metadata_document_supported":true/);
  });

  it('A client ID metadata document makes a client that signs people in, and the consent page names its host', async () => {
    const clientId = publish('good', { client_uri: 'https://app.example', latchkey_policy: { firstParty: true } });
    const browser = new Browser();
    const page = await browser.submit(await browser.visit(request(clientId).url), { ...ALICE }, REDIRECT);
    assert.match(page.html, new RegExp(`It comes from <strong><bdi>${host}</bdi></strong>`));
    const again = request(clientId);
    const { status, body } = await exchangeCode(server.issuer, again, await signIn(new Browser(), again));
    assert.equal(status, 200, JSON.stringify(body));
    assert.match(String(body['refresh_token']), /./);
    assert.deepEqual(asked, ['/good']);
  });

  it('The server never redirects to a client that the person has not allowed, in any response mode', async () => {
    const clientId = publish('trap');
    for (const parameters of [
      { prompt: 'none' },
      { prompt: 'none', max_age: '-1' },
      { response_mode: 'form_post', max_age: '-1' },
    ]) {
      const { url } = request(clientId, server, parameters);
      for (const address of [url, url.replace('/authorize?', '/authorize/x?')]) {
        const answer = await new Browser().request(address);
        assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], address);
        assert.doesNotMatch(await answer.text(), /<form/, address);
      }
    }
  });

  it('A client with a metadata document receives only the resources and scopes that the configuration lists', async () => {
    const page = await new Browser().visit(request(publish('far'), server, { resource: API }).url, {}, REDIRECT);
    assert.match(`${page.url} ${page.html}`, /invalid_target/);
  });

  it('A client ID metadata document grants no more than a dynamic registration', async () => {
    await using other = await startTestServer({
      change: (config) => ({
        ...open()(config),
        deprecated: { ...config.deprecated, response_types: ['id_token'] },
      }),
    });
    const types = { response_types: ['code', 'id_token'], grant_types: ['authorization_code', 'implicit'] };
    const implicit = request(publish('implicit', types), other, { response_type: 'id_token' });
    const page = await new Browser().visit(implicit.url, {}, REDIRECT);
    assert.match(page.html, /unauthorized_client/, page.url);
  });

  describe('After the document cache expires', () => {
    afterEach(returnToPresent);

    it('The server fetches an expired client document again for the pages of a slow person', async () => {
      const asking = request(publish('slow'));
      const browser = new Browser();
      const page = await browser.visit(asking.url);
      travel(90);
      const consent = await browser.submit(page, { ...ALICE }, REDIRECT);
      travel(90);
      const back = await browser.submit(consent, { decision: 'allow' }, REDIRECT);
      assert.ok(new URL(back.url).searchParams.has('code'), back.html);
    });

    it('A client document that changed or disappeared does not prevent the sign-out', async () => {
      for (const changes of [{ client_id: 'https://bank.example/client' }, { logo_uri: 'javascript:x' }, undefined]) {
        const asking = request(publish('gone'));
        const browser = new Browser();
        await signIn(browser, asking);
        if (changes === undefined) documents.delete('/gone');
        else publish('gone', changes);
        travel(90);
        const page = await browser.visit(`${server.issuer}/logout`);
        const out = await browser.submit(page, { logout: 'yes' });
        assert.equal(out.status, 200, `${out.url} ${out.html}`);
        const again = await browser.visit(authorizationRequest(server.issuer).url);
        assert.match(again.html, /type="password"/);
        returnToPresent();
      }
    });
  });

  const hostile: Record<string, object> = {
    'another client_id': { client_id: 'https://bank.example/client' },
    'a secret': { client_secret: 'x' },
    'a method that needs a secret': { token_endpoint_auth_method: 'client_secret_basic' },
    'a wildcard redirect URI': { redirect_uris: ['https://*.example/callback'] },
    'a script as redirect URI': { redirect_uris: ['javascript:alert(1)'], application_type: 'native' },
    'a redirect URI without TLS': { redirect_uris: ['http://app.example/callback'] },
    'a script as logo URI': { logo_uri: 'javascript:alert(1)' },
    'a name that changes the reading direction': { client_name: 'a\u202Eb' },
    'only the client credentials grant': { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
    'more bytes than allowed': { contacts: ['a@example.com'.padStart(6000, 'x')] },
  };
  for (const [what, changes] of Object.entries(hostile)) {
    it(`The server refuses a client document with ${what}`, async () => {
      await refused(publish(`hostile-${encodeURIComponent(what)}`, changes));
      assert.ok(asked.length > 0);
    });
  }

  it('The server follows no redirect to a client document', async () => {
    await refused(`https://${host}/moved`);
    assert.deepEqual([...new Set(asked)], ['/moved']);
  });

  it('The server fetches no client document from an unlisted private address or from a host that is not allowed', async () => {
    for (const change of [open({}, []), open({ allow: ['apps.example'] }), open({ enabled: false })]) {
      await using other = await startTestServer({ change });
      await refused(publish('good'), other);
      assert.deepEqual(asked, []);
    }
  });

  it('The wildcard host allows no client document from a listed private host', async () => {
    await using other = await startTestServer({ change: open({ allow: ['*'] }) });
    await refused(publish('good'), other);
    assert.deepEqual(asked, []);
  });

  it('The server refuses a client_id without a path, and fetches nothing', async () => {
    documents.set('/', { ...(documents.get('/good') as object), client_id: `https://${host}/` });
    for (const id of [`https://${host}`, `https://${host}/`, `https://${host}?document`]) await refused(id);
    assert.deepEqual(asked, []);
  });

  it('The server refuses client documents of other content types, and accepts any kind of JSON', async () => {
    for (contentType of ['text/html', 'text/plain; charset=utf-8', 'application/jsonp']) {
      await refused(publish(`type-${encodeURIComponent(contentType)}`));
    }
    for (contentType of ['application/cimd+json', 'Application/JSON; charset=utf-8']) {
      const page = await new Browser().visit(request(publish(`json-${encodeURIComponent(contentType)}`)).url);
      assert.equal(page.status, 200, page.html);
    }
  });

  /** Proves nothing, but makes the server look for the key. */
  const claimToBe = (id: string): Promise<Response> => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: id, sub: id, aud: server.issuer, jti: 'x', exp: Math.floor(Date.now() / 1000) + 60 };
    return fetch(`${server.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: 'x',
        client_assertion: `${part({ alg: 'ES256' })}.${part(claims)}.${'A'.repeat(86)}`,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }),
    });
  };

  const withKeysAt = (path: string, url: string): string =>
    publish(path, { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: url });

  it('The server fetches no keys from a private address that a client document names', async () => {
    const response = await claimToBe(withKeysAt('keys', 'https://127.0.0.1:1/jwks'));
    assert.ok([400, 401].includes(response.status));
  });

  for (const [what, answer] of Object.entries({ 'no JWK set': { no: 'keys' }, 'a JWK set': { keys: [] } })) {
    it(`The server fetches the keys of a client document only once if the response is ${what}`, async () => {
      const path = `set-${what.length}`;
      documents.set(`/${path}`, answer);
      const id = withKeysAt(`of-${path}`, `https://${host}/${path}`);
      await claimToBe(id);
      asked = [];
      const statuses = await Promise.all(Array.from({ length: 20 }, () => claimToBe(id)));
      for (const { status } of statuses) assert.ok([400, 401].includes(status));
      assert.deepEqual(asked, []);
    });
  }

  it('The server limits the client documents that it fetches for one client address', async () => {
    await using other = await startTestServer({ change: open({ max_per_hour: 2 }) });
    for (const path of ['one', 'two', 'three']) await new Browser().visit(request(publish(path), other).url);
    assert.deepEqual(asked, ['/one', '/two']);
    const known = await new Browser().visit(request(`https://${host}/one`, other).url);
    assert.equal(known.status, 200);
  });
});
