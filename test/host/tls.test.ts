import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Config } from '../../src/config/schema.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import { authorizationRequest } from '../support/flows.ts';
import { sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('host/listener with a certificate', () => {
  const { cert, key } = selfSignedCertificate();
  const agent = new Agent({ ca: cert, keepAlive: false });
  let directory: string;
  let server: TestServer;

  const withTls =
    (certFile: string) =>
    (config: Config): Config => ({
      ...config,
      issuer: config.issuer.replace('http:', 'https:'),
      listen: { ...config.listen, tls: { cert: join(directory, certFile), key: join(directory, 'key.pem') } },
    });

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-tls-'));
    await writeFile(join(directory, 'cert.pem'), cert);
    await writeFile(join(directory, 'key.pem'), key);
    server = await startTestServer({ change: withTls('cert.pem') });
  });
  after(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function ask(path: string): Promise<IncomingMessage & { body: string }> {
    const request = get(new URL(path, server.issuer), { agent, headers: { accept: 'text/html' } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return Object.assign(response, { body: await text(response) });
  }

  it('serves https itself, and hands out https addresses', async () => {
    const { statusCode, body } = await ask('/.well-known/openid-configuration');
    assert.equal(statusCode, 200);
    const discovery = JSON.parse(body) as Record<string, string>;
    assert.equal(discovery['issuer'], server.issuer);
    assert.equal(discovery['token_endpoint'], `${server.issuer}/token`);
  });

  it('sets cookies that never leave over http, on this very host alone', async () => {
    const query = new URL(authorizationRequest(server.issuer).url).search;
    const { statusCode, headers } = await ask(`/authorize${query}`);
    assert.equal(statusCode, 303);
    const cookies = headers['set-cookie'] ?? [];
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) assert.match(cookie, /^__(Host|Secure)-.*; secure/i);
    assert.equal(headers['strict-transport-security'], 'max-age=31536000');
  });

  it('answers nothing over plain http', async () => {
    const { status } = await sendRaw(server.port, `GET / HTTP/1.1\r\nHost: ${new URL(server.issuer).host}\r\n\r\n`);
    assert.equal(status, 0);
  });

  it('does not start without the certificate', async () => {
    await assert.rejects(startTestServer({ change: withTls('gone.pem') }), { code: 'ENOENT' });
  });
});
