import assert from 'node:assert/strict';
import { hash, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, exportJWK, importX509 } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { Config } from '../../src/config/schema.ts';
import { certificateFor, selfSignedCertificate, type Subject } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

const AUTHORITY: Subject = { name: [['CN', 'Client CA']], isAuthority: true };

describe('openid-client with a certificate', () => {
  const tls = selfSignedCertificate();
  const authority = { ...certificateFor(AUTHORITY), subject: AUTHORITY };
  const own = certificateFor({ name: [['CN', 'job']], dns: 'job.example.com' }, authority);
  const agent = new Agent({ connect: { ca: tls.cert, cert: own.cert, key: own.key } });
  let directory: string;
  let server: TestServer;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-mtls-'));
    const files = { 'cert.pem': tls.cert, 'key.pem': tls.key, 'ca.pem': authority.cert };
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    const port = await freePort();
    const x5c = [new X509Certificate(own.cert).raw.toString('base64')];
    const jwk = { ...(await exportJWK(await importX509(own.cert, 'ES256'))), x5c };
    server = await startTestServer({
      change: (config) => ({
        ...config,
        issuer: config.issuer.replace('http:', 'https:'),
        clients: [
          machine(config, 'self_signed_tls_client_auth', { jwks: { keys: [jwk] } }),
          machine(config, 'tls_client_auth', { tls_client_auth_san_dns: 'job.example.com' }),
        ],
        listen: {
          ...config.listen,
          tls: { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') },
          client_certificates: { port, url: `https://localhost:${port}`, ca: join(directory, 'ca.pem') },
        },
      }),
    });
  });
  after(async () => {
    await agent.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  function machine(config: Config, method: string, settings: object): Config['clients'][number] {
    return clientSchema.parse({
      client_id: method,
      client_name: method,
      type: 'machine',
      token_endpoint_auth_method: method,
      tls_client_certificate_bound_access_tokens: true,
      introspection: true,
      scopes: ['notes:read'],
      resources: config.resources.map(({ identifier }) => identifier),
      ...settings,
    });
  }

  /** The library's requests, over connections that show the certificate where they are asked for one. */
  const withCertificate = (url: string, { body, ...options }: client.CustomFetchOptions): Promise<Response> =>
    undiciFetch(url, {
      ...options,
      ...(body instanceof URLSearchParams && { body: body.toString() }),
      dispatcher: agent,
    }) as unknown as Promise<Response>;

  for (const method of ['self_signed_tls_client_auth', 'tls_client_auth']) {
    it(`openid-client authenticates by ${method}, and its token is bound to the certificate`, async () => {
      const metadata = { use_mtls_endpoint_aliases: true };
      const config = await client.discovery(new URL(server.issuer), method, metadata, client.TlsClientAuth(), {
        [client.customFetch]: withCertificate,
      });
      const resource = apiOf(server.issuer);
      const { access_token: token } = await client.clientCredentialsGrant(config, { scope: 'notes:read', resource });
      const { raw } = new X509Certificate(own.cert);
      assert.deepEqual(decodeJwt(token)['cnf'], { 'x5t#S256': hash('sha256', raw, 'base64url') });
    });
  }
});
