import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { openToAll, REDIRECT, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import { ALICE, authorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const HUGE = Buffer.concat([PNG.subarray(0, 16), Buffer.from([0, 0, 0x80, 0, 0, 0, 0x80, 0]), PNG.subarray(24)]);

describe('App logos', () => {
  const certificates = getCACertificates('default');
  let site: Server;
  let host: string;
  let server: TestServer;
  let asked: string[];
  /** What the app's host sends at each path. */
  const files = new Map<string, { type: string; body: Buffer | string; status?: number }>([
    ['/logo.png', { type: 'text/html', body: PNG }],
    ['/page.png', { type: 'image/png', body: '<script>alert(1)</script>' }],
    ['/logo.svg', { type: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' }],
    ['/large.png', { type: 'image/png', body: Buffer.concat([PNG, Buffer.alloc(300_000)]) }],
    ['/huge.png', { type: 'image/png', body: HUGE }],
    ['/error.png', { type: 'image/png', body: PNG, status: 500 }],
  ]);

  before(async () => {
    const certificate = selfSignedCertificate();
    setDefaultCACertificates([...certificates, certificate.cert]);
    site = createServer(certificate, (request, response) => {
      asked.push(request.url ?? '');
      const {
        type,
        body,
        status = 200,
      } = files.get(request.url ?? '') ?? { type: 'text/plain', body: '', status: 404 };
      response.writeHead(status, { 'content-type': type }).end(body);
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    host = `localhost:${(site.address() as AddressInfo).port}`;
  });
  after(() => {
    site.closeAllConnections();
    site.close();
    setDefaultCACertificates(certificates);
  });
  beforeEach(() => {
    asked = [];
  });
  afterEach(() => server.close());

  async function start(file: string): Promise<void> {
    server = await startTestServer({
      change: (config) => ({
        ...openToAll()(config),
        outgoing: { ...config.outgoing, allow: [host] },
        clients: config.clients.map((client) =>
          client.client_id === 'demo-web'
            ? { ...client, first_party: false, logo_uri: `https://${host}${file}` }
            : client,
        ),
      }),
    });
  }

  /** The picture's address on the consent page of an app, as the page's `img` has it. */
  async function shown(clientId = 'demo-web', parameters: Record<string, string> = {}) {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(server.issuer, clientId, parameters).url);
    const consent = await browser.submit(page, { ...ALICE }, parameters['redirect_uri']);
    const [, source = ''] = /<img src="(\/logo[^"]*)"/.exec(consent.html) ?? [];
    return { html: consent.html, path: source.replaceAll('&amp;', '&') };
  }

  it("The server fetches an app's logo once and serves it itself, as an image that no page can execute", async () => {
    await start('/logo.png');
    const { html, path } = await shown();
    assert.ok(!html.includes(`src="https://${host}`), html);
    assert.deepEqual(asked, []);
    for (let times = 0; times < 3; times += 1) {
      const answer = await fetch(server.issuer + path);
      assert.equal(answer.status, 200);
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PNG);
      assert.equal(answer.headers.get('content-type'), 'image/png');
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      assert.match(answer.headers.get('content-security-policy') ?? '', /^default-src 'none'; sandbox/);
    }
    assert.deepEqual(asked, ['/logo.png']);
  });

  it('The content security policy lets pages load images only from this server', async () => {
    await start('/logo.png');
    const answer = await fetch(`${server.issuer}/`, { headers: { accept: 'text/html' } });
    assert.match(answer.headers.get('content-security-policy') ?? '', /img-src 'self';/);
  });

  for (const file of ['/page.png', '/logo.svg', '/large.png', '/huge.png', '/error.png', '/missing.png']) {
    it(`The consent page shows the initial instead of the unusable logo ${file}, and the server fetches it only once`, async () => {
      await start(file);
      const { html, path } = await shown();
      assert.match(html, /<span class="app-mark" aria-hidden="true">\p{L}/u);
      for (let times = 0; times < 3; times += 1) assert.equal((await fetch(server.issuer + path)).status, 404);
      assert.deepEqual(asked, [file]);
    });
  }

  it('The server fetches no logo URL that it did not put on a page itself', async () => {
    await start('/logo.png');
    const { path } = await shown();
    const query = new URLSearchParams(path.slice(path.indexOf('?') + 1));
    const changes = [{ url: `https://${host}/other` }, { by: 'app' }, { mac: '' }, { mac: 'x' }, { url: '' }];
    for (const change of changes) {
      const forged = new URLSearchParams({ ...Object.fromEntries(query), ...change });
      assert.equal((await fetch(`${server.issuer}/logo?${forged.toString()}`)).status, 404);
    }
    assert.equal((await fetch(`${server.issuer}/logo`)).status, 404);
    assert.deepEqual(asked, []);
  });

  it('The server fetches no logo from a listed internal host for an app that registered itself', async () => {
    await start('/logo.png');
    const { body } = await register(server, { logo_uri: `https://${host}/logo.png` });
    const { path } = await shown(String(body['client_id']), { redirect_uri: REDIRECT });
    assert.match(path, /by=app/);
    assert.equal((await fetch(server.issuer + path)).status, 404);
    assert.deepEqual(asked, []);
  });
});
