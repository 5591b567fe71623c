import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, decodeJwt } from 'jose';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import { certificateFor, type Subject } from '../support/certificate.ts';
import { newHolder, proof, type Holder } from '../support/dpop.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const AUTHORITY: Subject = { name: [['CN', 'Client CA']], isAuthority: true };
const ALIAS = 'https://mtls.login.example';

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

describe('DPoP at the mutual TLS aliases', () => {
  const authority = { ...certificateFor(AUTHORITY), subject: AUTHORITY };
  const certificate = certificateFor({ name: [['CN', 'job']], dns: 'job.example.com' }, authority);
  let directory: string;
  let server: TestServer;
  let holder: Holder;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-aliases-'));
    const ca = join(directory, 'ca.pem');
    await writeFile(ca, authority.cert);
    holder = await newHolder();
    server = await startTestServer({
      change: (config) => ({
        ...config,
        listen: {
          ...config.listen,
          aliases: ['other.login.example'],
          trusted_proxies: ['127.0.0.1', '::1'],
          client_certificates: { header: 'client-cert', url: ALIAS, ca },
        },
        clients: [
          ...config.clients,
          clientSchema.parse({
            client_id: 'job',
            client_name: 'Job',
            type: 'machine',
            profile: 'fapi2-security',
            token_endpoint_auth_method: 'tls_client_auth',
            tls_client_auth_san_dns: 'job.example.com',
            scopes: ['notes:read'],
            resources: config.resources.map(({ identifier }) => identifier),
            default_resource: config.resources[0]?.identifier,
          }),
        ],
      }),
    });
  });
  after(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** A token request as the proxy hands it on that serves the address `host`. */
  async function ask(host: string, shown: string | undefined): Promise<Answer> {
    const raw = new X509Certificate(certificate.cert).raw.toString('base64');
    const response = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: { 'client-cert': `:${raw}:`, 'x-forwarded-host': host, ...(shown !== undefined && { dpop: shown }) },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'job' }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  const called = (base: string): Promise<string> => proof(holder, { htm: 'POST', htu: `${base}/token` });
  const alias = new URL(ALIAS).host;
  const ownHost = (): string => new URL(server.issuer).host;

  it('The token endpoint accepts a DPoP proof for the alias that was called, and binds the token to its key', async () => {
    const { status, body } = await ask(alias, await called(ALIAS));
    assert.deepEqual([status, body['token_type']], [200, 'DPoP'], JSON.stringify(body));
    const { cnf } = decodeJwt(String(body['access_token']));
    assert.deepEqual(cnf, { jkt: await calculateJwkThumbprint(holder.jwk) });
  });

  it('The mutual TLS alias refuses a DPoP proof for the issuer URL', async () => {
    const { status, body } = await ask(alias, await called(server.issuer));
    assert.deepEqual([status, body['error']], [400, 'invalid_dpop_proof']);
  });

  it('The issuer and an unpublished alias refuse a DPoP proof for the mutual TLS alias', async () => {
    for (const host of [ownHost(), 'other.login.example']) {
      assert.equal((await ask(host, await called(ALIAS))).status, 400, host);
      assert.equal((await ask(host, await called(server.issuer))).status, 200, host);
    }
  });

  it('A FAPI 2.0 client receives no token without a DPoP proof', async () => {
    const { status, body } = await ask(alias, undefined);
    assert.deepEqual([status, body['error']], [400, 'invalid_grant'], JSON.stringify(body));
  });

  it('/userinfo compares the DPoP proof with the URL that was called', async () => {
    const token = String((await ask(alias, await called(ALIAS))).body['access_token']);
    const ath = createHash('sha256').update(token).digest('base64url');
    const errorFor = async (base: string): Promise<string> => {
      const shown = await proof(holder, { htm: 'GET', htu: `${base}/userinfo`, ath });
      const headers = { authorization: `DPoP ${token}`, dpop: shown, 'x-forwarded-host': alias };
      const response = await fetch(`${server.issuer}/userinfo`, { headers });
      return ((await response.json()) as { error: string }).error;
    };
    assert.equal(await errorFor(server.issuer), 'invalid_dpop_proof');
    // A machine's token opens no account; its proof was good.
    assert.equal(await errorFor(ALIAS), 'invalid_token');
  });

  it('The metadata publishes the issuer URLs and the aliases, whichever host was called', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`, {
      headers: { 'x-forwarded-host': alias },
    });
    const metadata = (await response.json()) as Record<string, unknown>;
    assert.equal(metadata['token_endpoint'], `${server.issuer}/token`);
    assert.equal(Reflect.get(metadata['mtls_endpoint_aliases'] as object, 'token_endpoint'), `${ALIAS}/token`);
  });
});
