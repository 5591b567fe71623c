import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const WEB = 'demo-web:demo-web-secret';

describe('The redirect URI (RFC 9700 §4.1)', () => {
  let server: TestServer;
  let registered: string;
  let port: string;
  let signedIn: Browser;
  before(async () => {
    server = await startTestServer();
    registered = authorizationRequest(server.issuer).redirectUri;
    port = new URL(registered).port;
    signedIn = new Browser();
    await signIn(signedIn, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  it('Responses and errors keep the query of the redirect URI byte for byte', async () => {
    const queries = ['?next=a%20b+c&empty=&flag&q=%7E~', "?quoted='x'", '?'];
    const uris = queries.map((query) => registered + query);
    await using other = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((one) => (one.client_id === 'demo-notes' ? { ...one, redirect_uris: uris } : one)),
      }),
    });
    const browser = new Browser();
    await signIn(browser, authorizationRequest(other.issuer, 'demo-photos'));
    for (const uri of uris) {
      for (const mode of ['query', 'query.jwt', 'jwt']) {
        for (const fault of [{}, { max_age: '-1' }]) {
          const asked = { redirect_uri: uri, response_mode: mode, ...fault };
          const answer = await browser.request(authorizationRequest(other.issuer, 'demo-notes', asked).url);
          const location = answer.headers.get('location') ?? '';
          const rest = location.slice(uri.length);
          assert.ok(location.startsWith(uri), location);
          assert.match(rest, uri.endsWith('?') ? /^(code|error|response)=/ : /^&(code|error|response)=/);
          if (mode === 'query') assert.match(rest, /&state=\w+&iss=|&state=\w+$|&iss=.*&state=/);
        }
      }
    }
  });

  const TRICKS: readonly [name: string, uri: () => string][] = [
    ['another host', () => 'https://evil.example/callback'],
    ['the value of another client', () => authorizationRequest(server.issuer, 'demo-photos').redirectUri],
    ['a subdomain', () => registered.replace('localhost', 'app.localhost')],
    ['a longer host', () => registered.replace('localhost', 'localhost.evil.example')],
    ['a dot after the host', () => registered.replace('localhost', 'localhost.')],
    ['an IP address for the host', () => registered.replace('localhost', '127.0.0.1')],
    ['another port', () => registered.replace(port, '1')],
    ['no port', () => registered.replace(`:${port}`, '')],
    ['another scheme', () => registered.replace('http:', 'https:')],
    ['capitals in the scheme', () => registered.replace('http:', 'HTTP:')],
    ['capitals in the host', () => registered.replace('localhost', 'LOCALHOST')],
    ['capitals in the path', () => registered.replace('callback', 'Callback')],
    ['a longer path', () => `${registered}/more`],
    ['a slash at the end', () => `${registered}/`],
    ['a parent directory in the path', () => `${registered}/../evil`],
    ['an encoded parent directory', () => `${registered}/%2e%2e/evil`],
    ['an encoded letter', () => registered.replace('callback', '%63allback')],
    ['a query', () => `${registered}?next=https://evil.example`],
    ['an empty query', () => `${registered}?`],
    ['a fragment', () => `${registered}#https://evil.example`],
    ['an empty fragment', () => `${registered}#`],
    ['a user name', () => registered.replace('localhost', 'localhost@evil.example')],
    ['a user name that looks like the host', () => registered.replace('//', `//localhost:${port}@evil.example:`)],
    ['a backslash', () => registered.replace('localhost', 'evil.example\\@localhost')],
    ['backslashes for slashes', () => registered.replaceAll('/', '\\')],
    ['an encoded host', () => registered.replace('localhost', 'localhost%2eevil.example')],
    ['a tab', () => registered.replace('localhost', 'local\thost')],
    ['a line break at the end', () => `${registered}\r\nX-Injected: 1`],
    ['a blank at the start', () => ` ${registered}`],
    ['a NUL at the end', () => `${registered}\0`],
    ['no scheme', () => registered.replace('http:', '')],
    ['a script scheme', () => 'javascript:alert(1)//callback'],
    ['a data scheme', () => 'data:text/html,<script>alert(1)</script>'],
    ['the address of this server', () => `${server.issuer}/logout`],
    ['a look-alike letter', () => registered.replace('localhost', 'loсalhost')],
    ['two addresses', () => `${registered} https://evil.example/`],
  ];

  for (const [name, uri] of TRICKS) {
    it(`The server answers a redirect URI with ${name} by an error page and no redirect`, async () => {
      for (const browser of [new Browser(), signedIn]) {
        const request = authorizationRequest(server.issuer, 'demo-notes', { redirect_uri: uri() });
        const answer = await browser.request(request.url);
        assert.equal(answer.status, 400);
        assert.equal(answer.headers.get('location'), null);
        assert.match(await answer.text(), /<dd>invalid_redirect_uri<\/dd>/);
      }
    });
  }

  it('The authorization endpoint refuses a second redirect URI in any spelling of the parameter', async () => {
    const { url } = authorizationRequest(server.issuer);
    for (const order of [
      `${url}&redirect_uri=https://evil.example/`,
      `${server.issuer}/authorize?redirect_uri=https://evil.example/&${new URL(url).searchParams.toString()}`,
      `${url}&redirect_uri[]=https://evil.example/`.replace('redirect_uri=', 'redirect_uri[]='),
      `${url}&redirect%5Furi=https://evil.example/`,
      `${url}&%72edirect_uri=https://evil.example/`,
      url.replace(/(redirect_uri=[^&]*)/, '$1;redirect_uri=https://evil.example/'),
      url.replace(/(redirect_uri=[^&]*)/, '$1%26redirect_uri=https://evil.example/'),
    ]) {
      const answer = await signedIn.request(order);
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get('location'), null);
    }
  });

  it('The authorization endpoint ignores a redirect URI in the URL of a posted request', async () => {
    const { url, redirectUri } = authorizationRequest(server.issuer);
    const page = await signedIn.visit(
      `${server.issuer}/authorize?redirect_uri=https://evil.example/`,
      { method: 'POST', body: new URL(url).searchParams },
      redirectUri,
    );
    assert.ok(page.url.startsWith(redirectUri), page.url);
  });

  it('The server chooses no redirect URI for a client that has several, even for an error', async () => {
    const answer = await signedIn.request(
      authorizationRequest(server.issuer, 'demo-notes', { scope: 'x y' }).url.replace(/redirect_uri=[^&]*&/, ''),
    );
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.get('location'), null);
  });

  it('The PAR endpoint refuses an unregistered redirect URI', async () => {
    const url = new URL(authorizationRequest(server.issuer, 'demo-web', { redirect_uri: 'https://evil.example/' }).url);
    const answer = await fetch(`${server.issuer}/par`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(WEB).toString('base64')}` },
      body: url.searchParams,
    });
    assert.equal(answer.status, 400);
    // RFC 9126 §2.3
    assert.equal(((await answer.json()) as { error: string }).error, 'invalid_request');
  });

  it('The token endpoint requires the redirect URI of the authorization request', async () => {
    const request = authorizationRequest(server.issuer);
    const callback = await signIn(signedIn, request);
    const other = { ...request, redirectUri: registered.replace('callback', 'silent') };
    const { status, body } = await exchangeCode(server.issuer, other, callback);
    assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
  });

  it('An error response has only the error, its description, the state and the issuer', async () => {
    const asked = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none', state: '<s> "t"&=\u00e4%0d%0a' });
    const answer = await new Browser().request(asked.url);
    const location = new URL(answer.headers.get('location') ?? '');
    assert.equal(location.origin + location.pathname, registered);
    assert.deepEqual([...location.searchParams.keys()].sort(), ['error', 'error_description', 'iss', 'state']);
    assert.equal(location.searchParams.get('state'), '<s> "t"&=\u00e4%0d%0a');
    assert.equal(location.searchParams.get('iss'), server.issuer);
    assert.equal(location.searchParams.get('error'), 'login_required');
  });
});
