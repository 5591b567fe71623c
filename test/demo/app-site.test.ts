import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { createAppSite } from '../../src/demo/app-site.ts';
import type { AppConfig } from '../../src/demo/app-site.ts';
import { serve } from '../resource-server/serving.ts';
import type { Serving } from '../resource-server/serving.ts';

const CONFIG: AppConfig = {
  name: 'Notes',
  origin: 'http://localhost:3001',
  issuer: 'http://localhost:3000',
  clientId: 'demo-notes',
  scope: 'openid',
  api: 'http://localhost:3003',
  other: { name: 'Photos', origin: 'http://localhost:3002' },
};

describe('The site of a demo app', () => {
  let site: Serving;

  before(async () => {
    site = await serve(await createAppSite(CONFIG));
  });
  after(() => site.close());

  const directives = (response: Response): string[] =>
    response.headers.get('content-security-policy')?.split('; ') ?? [];

  const types: [string, string][] = [
    ['/', 'text/html; charset=utf-8'],
    ['/callback?code=a&state=b', 'text/html; charset=utf-8'],
    ['/silent?code=a&state=b', 'text/html; charset=utf-8'],
    ['/app.js', 'text/javascript; charset=utf-8'],
    ['/session.js', 'text/javascript; charset=utf-8'],
    ['/silent.js', 'text/javascript; charset=utf-8'],
    ['/view.js', 'text/javascript; charset=utf-8'],
    ['/words.js', 'text/javascript; charset=utf-8'],
    ['/oidc-client-ts.js', 'text/javascript; charset=utf-8'],
    ['/style.css', 'text/css; charset=utf-8'],
    ['/icon.svg', 'image/svg+xml'],
    ['/config.json', 'application/json'],
  ];
  for (const [path, type] of types) {
    it(`The demo app’s site serves ${path} as ${type}, with a strict policy`, async () => {
      const response = await fetch(site.url + path);
      assert.deepEqual([response.status, response.headers.get('content-type')], [200, type]);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(response.headers.get('referrer-policy'), 'no-referrer');
      for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'"]) {
        assert.ok(directives(response).includes(directive), directive);
      }
      assert.notEqual((await response.text()).length, 0);
    });
  }

  it('The demo app’s policy lets its pages connect only to the issuer and the API', async () => {
    const policy = directives(await fetch(site.url));
    assert.ok(policy.includes("connect-src 'self' http://localhost:3000 http://localhost:3003"));
    assert.ok(policy.includes("frame-src 'self' http://localhost:3000"));
  });

  it('No other page can frame the demo app, and only the app itself can frame its silent callback', async () => {
    assert.ok(directives(await fetch(site.url)).includes("frame-ancestors 'none'"));
    assert.ok(directives(await fetch(`${site.url}/callback`)).includes("frame-ancestors 'none'"));
    assert.ok(directives(await fetch(`${site.url}/silent`)).includes("frame-ancestors 'self'"));
  });

  it('The demo app’s pages contain no inline script or style', async () => {
    for (const path of ['/', '/silent']) {
      const page = await (await fetch(site.url + path)).text();
      assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/);
    }
  });

  it('The demo app’s site serves every file that its pages load', async () => {
    for (const [path] of types.filter(([, type]) => /html|javascript/.test(type))) {
      const content = await (await fetch(site.url + path)).text();
      for (const [, reference = ''] of content.matchAll(/(?:src=|href=|from )["']\.?(\/[^"']+)["']/g)) {
        assert.equal((await fetch(site.url + reference)).status, 200, reference);
      }
    }
  });

  it('The demo app’s site serves the app’s configuration', async () => {
    assert.deepEqual(await (await fetch(`${site.url}/config.json`)).json(), CONFIG);
  });

  it('The demo app’s site answers 404 at every other path', async () => {
    for (const path of [
      '/app',
      '/index.html',
      '/callback/',
      '/APP.JS',
      '/constructor',
      '/__proto__',
      '/package.json',
    ]) {
      const response = await fetch(site.url + path);
      assert.deepEqual([response.status, await response.text()], [404, 'There is nothing here.\n'], path);
      assert.ok(directives(response).includes("default-src 'none'"));
    }
  });

  it('No path leads out of the folder of the demo app’s site', async () => {
    const paths = [
      '/../demo.ts',
      '/app.js/../../demo.ts',
      '/..%2fdemo.ts',
      '/%2e%2e/demo.ts',
      '/..\\demo.ts',
      '//etc/passwd',
      '/app.js%00.html',
      'file:///etc/passwd',
      '*',
    ];
    for (const path of paths) assert.match(await sendRaw(site.port, `GET ${path} HTTP/1.1`), /^HTTP\/1\.1 404 /, path);
  });

  it('The demo app’s site answers HEAD without a body, and refuses every method that writes', async () => {
    const head = await fetch(site.url, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await fetch(site.url, { method });
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD']);
    }
  });
});

/** Sends a request line as it is, which `fetch` would tidy up first, and resolves to the whole answer. */
function sendRaw(port: number, requestLine: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`${requestLine}\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return text(socket);
}
