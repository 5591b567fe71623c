import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, hash, X509Certificate, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { decodeJwt, exportJWK, importX509 } from 'jose';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import {
  certificateFor,
  EXTENSION,
  selfSignedCertificate,
  type Certificate,
  type Subject,
} from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const AUTHORITY: Subject = { name: [['O', 'Example'], ['CN', 'Client CA']], isAuthority: true }; // prettier-ignore
const NAMED: Subject = {
  name: [['C', 'DE'], ['O', 'Example, Inc.'], ['CN', 'job']], // prettier-ignore
  dns: 'job.example.com',
  uri: 'spiffe://example/job',
  email: 'job@example.com',
  ip: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
};

/** Each way to name a certificate (RFC 8705 §2.1.2), and what it must be. */
const NAMES = {
  tls_client_auth_subject_dn: 'CN=job,O=Example\\, Inc.,C=DE',
  tls_client_auth_san_dns: 'job.example.com',
  tls_client_auth_san_uri: 'spiffe://example/job',
  tls_client_auth_san_email: 'job@example.com',
  tls_client_auth_san_ip: '2001:db8:0::1',
};

interface Answer {
  status: number | undefined;
  body: Record<string, unknown>;
}

describe('Client certificates (RFC 8705)', () => {
  const tls = selfSignedCertificate();
  const authority = { ...certificateFor(AUTHORITY), subject: AUTHORITY };
  const named = certificateFor(NAMED, authority);
  const itself = certificateFor({ name: [['CN', 'self']] });
  const weak = certificateFor({ name: [['CN', 'weak']], keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) });
  let directory: string;
  let direct: TestServer;
  let proxied: TestServer;
  let mtlsPort: number;
  let jwk: object;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-mtls-'));
    await writeFile(join(directory, 'cert.pem'), tls.cert);
    await writeFile(join(directory, 'key.pem'), tls.key);
    await writeFile(join(directory, 'ca.pem'), `Our authority:\n${authority.cert}`);
    mtlsPort = await freePort();
    jwk = { ...(await exportJWK(await importX509(itself.cert, 'ES256'))), x5c: [base64Of(itself)] };
    const ca = join(directory, 'ca.pem');
    const withClients = (config: Config): Config => ({ ...config, clients: [...config.clients, ...machines(config, jwk)] }); // prettier-ignore
    direct = await startTestServer({
      change: (config) => ({
        ...withClients(config),
        issuer: config.issuer.replace('http:', 'https:'),
        listen: {
          ...config.listen,
          tls: { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') },
          client_certificates: { port: mtlsPort, url: `https://localhost:${mtlsPort}`, ca },
        },
      }),
    });
    proxied = await startTestServer({
      change: (config) => ({
        ...withClients(config),
        listen: {
          ...config.listen,
          trusted_proxies: ['127.0.0.1', '::1'],
          client_certificates: { header: 'client-cert', ca },
        },
      }),
    });
  });
  after(async () => {
    await Promise.all([direct.close(), proxied.close()]);
    await rm(directory, { recursive: true, force: true });
  });

  function machines(config: Config, jwk: object): ClientConfig[] {
    const machine = (client_id: string, settings: object): ClientConfig =>
      clientSchema.parse({
        client_id,
        client_name: client_id,
        type: 'machine',
        scopes: ['notes:read'],
        resources: config.resources.map(({ identifier }) => identifier),
        default_resource: config.resources[0]?.identifier,
        tls_client_certificate_bound_access_tokens: true,
        ...settings,
      });
    return [
      // As one that was registered before keys were looked at; with no other key it could not be used at all.
      {
        ...machine('weak', {
          token_endpoint_auth_method: 'self_signed_tls_client_auth',
          jwks_uri: 'https://app.example',
        }),
        jwks_uri: undefined,
        jwks: { keys: [{ ...new X509Certificate(weak.cert).publicKey.export({ format: 'jwk' }), kty: 'RSA', x5c: [base64Of(weak)] }, jwk as { kty: 'EC' }] }, // prettier-ignore
      },
      machine('self', { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [jwk] } }),
      ...Object.entries(NAMES).map(([key, value]) =>
        machine(key, { token_endpoint_auth_method: 'tls_client_auth', [key]: value }),
      ),
    ];
  }

  /** A token request over a connection that shows a certificate, or none. */
  async function ask(client: string, shown?: Certificate, port = mtlsPort): Promise<Answer> {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: client }).toString();
    const request = httpsRequest({
      host: 'localhost',
      port,
      path: '/token',
      method: 'POST',
      ca: tls.cert,
      agent: false,
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) },
      ...shown,
    });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { status: response.statusCode, body: JSON.parse(await text(response)) as Record<string, unknown> };
  }

  /** A token request as a proxy that ended TLS hands it on. */
  async function askProxied(client: string, header?: string): Promise<Answer> {
    const response = await fetch(`${proxied.issuer}/token`, {
      method: 'POST',
      headers: header === undefined ? {} : { 'client-cert': header },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: client }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  function granted({ status, body }: Answer, by: Certificate): void {
    assert.equal(status, 200, JSON.stringify(body));
    const { cnf } = decodeJwt(String(body['access_token']));
    assert.deepEqual(cnf, { 'x5t#S256': hash('sha256', Buffer.from(base64Of(by), 'base64'), 'base64url') });
  }

  function refused({ status, body }: Answer): void {
    assert.deepEqual([status, body['error'], body['access_token']], [401, 'invalid_client', undefined]);
  }

  it('A registered self-signed certificate authenticates its client and binds the access token', async () => {
    granted(await ask('self', itself), itself);
    granted(await askProxied('self', `:${base64Of(itself)}:`), itself);
  });

  it('The introspection response names the certificate that the token is bound to (RFC 8705 §3.2)', async () => {
    const header = { 'client-cert': `:${base64Of(itself)}:` };
    const { body } = await askProxied('self', header['client-cert']);
    const response = await fetch(`${proxied.issuer}/introspect`, {
      method: 'POST',
      headers: header,
      body: new URLSearchParams({ client_id: 'self', token: String(body['access_token']) }),
    });
    const { active, cnf } = (await response.json()) as Record<string, unknown>;
    const thumbprint = hash('sha256', Buffer.from(base64Of(itself), 'base64'), 'base64url');
    assert.deepEqual([active, cnf], [true, { 'x5t#S256': thumbprint }]);
  });

  for (const name of Object.keys(NAMES)) {
    it(`A certificate of the authority authenticates its client by ${name}`, async () => {
      granted(await ask(name, named), named);
      granted(await askProxied(name, encodeURIComponent(named.cert)), named);
    });
  }

  it('The server refuses a missing certificate, a foreign one and an unreadable header', async () => {
    for (const client of ['self', 'tls_client_auth_san_dns']) {
      refused(await ask(client));
      refused(await ask(client, selfSignedCertificate()));
      refused(await askProxied(client));
      for (const header of ['', ':x:', '%', ':AAAA:', 'x'.repeat(5000)]) refused(await askProxied(client, header));
      const twice = `:${base64Of(itself)}:, :${base64Of(named)}:`;
      refused(await askProxied(client, twice));
    }
  });

  const changed: Record<string, Partial<Subject>> = {
    tls_client_auth_subject_dn: { name: [['C', 'DE'], ['O', 'Example'], ['CN', 'job']] }, // prettier-ignore
    tls_client_auth_san_dns: { dns: 'evil.job.example.com' },
    tls_client_auth_san_uri: { uri: 'spiffe://example/job/2' },
    tls_client_auth_san_email: { email: 'xjob@example.com' },
    tls_client_auth_san_ip: { ip: [127, 0, 0, 1] },
  };
  for (const [name, other] of Object.entries(changed)) {
    it(`The server refuses a certificate of the same authority with another ${name}`, async () => {
      refused(await ask(name, certificateFor({ ...NAMED, ...other }, authority)));
    });
  }

  it('The server refuses a certificate whose name contains the registered name', async () => {
    const hostile = { ...NAMED, dns: 'x, DNS:job.example.com' };
    refused(await ask('tls_client_auth_san_dns', certificateFor(hostile, authority)));
    const inCommonName = { ...NAMED, name: [['CN', 'job,O=Example\\, Inc.,C=DE']] } as const;
    refused(await ask('tls_client_auth_subject_dn', certificateFor(inCommonName, authority)));
    const onTwoLines = { ...NAMED, name: [['CN', 'C=DE\nO=Example\\, Inc.\nCN=job']] } as const;
    refused(await ask('tls_client_auth_subject_dn', certificateFor(onTwoLines, authority)));
  });

  it('The server refuses an expired certificate, and one of an authority that only has the right name', async () => {
    refused(await ask('tls_client_auth_san_dns', certificateFor({ ...NAMED, until: '210101000000Z' }, authority)));
    const impostor = { ...certificateFor(AUTHORITY), subject: AUTHORITY };
    refused(await ask('tls_client_auth_san_dns', certificateFor(NAMED, impostor)));
    refused(await ask('tls_client_auth_san_dns', certificateFor(NAMED)));
    // Who has a certificate of the authority is not an authority.
    refused(await ask('tls_client_auth_san_dns', certificateFor(NAMED, { ...named, subject: NAMED })));
  });

  const { usage, purposes, keyUsage, extendedKeyUsage, nameConstraints, unknown } = EXTENSION;
  const CLIENT_AUTH = '2b06010505070302';
  const unfit: Record<string, Partial<Subject>> = {
    'is for servers': { more: [[extendedKeyUsage, 'not critical', purposes('2b06010505070301')]] },
    'is for email': { more: [[extendedKeyUsage, 'critical', purposes('2b06010505070304')]] },
    'signs code and time stamps': { more: [[extendedKeyUsage, 'critical', purposes('2b06010505070303', '2b06010505070308')]] }, // prettier-ignore
    'has an unreadable list of purposes': { more: [[extendedKeyUsage, 'not critical', Buffer.from('x')]] },
    'has an unknown critical extension': { more: [[unknown, 'critical', Buffer.from('0500', 'hex')]] },
    'has critical name constraints': { more: [[nameConstraints, 'critical', Buffer.from('3000', 'hex')]] },
    'has the same extension twice': { more: [[extendedKeyUsage, 'not critical', purposes(CLIENT_AUTH)], [extendedKeyUsage, 'not critical', purposes('2b06010505070301')]] }, // prettier-ignore
    'may only encipher keys': { more: [[keyUsage, 'critical', usage(0x20)]] },
    'may only sign certificates': { more: [[keyUsage, 'critical', usage(0x04)]] },
    'belongs to an authority': { isAuthority: true },
    'is signed with SHA-1': { hash: 'sha1' },
    'has an RSA key of 1024 bits': { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) },
    'has an RSA key with the exponent 1': { keys: { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), publicKey: withExponentOne() } }, // prettier-ignore
    'has a key on a curve that TLS does not use': { keys: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }) },
    'has a key on a short curve': { keys: generateKeyPairSync('ec', { namedCurve: 'P-224' }) },
    'has expired': { until: '210101000000Z' },
  };
  for (const [what, changes] of Object.entries(unfit)) {
    it(`The server refuses a certificate with the right name and issuer that ${what}`, async () => {
      const certificate = certificateFor({ ...NAMED, ...changes }, authority);
      refused(await askProxied('tls_client_auth_san_dns', `:${base64Of(certificate)}:`));
      // OpenSSL refuses some of them in the handshake.
      const answer = await ask('tls_client_auth_san_dns', certificate).catch(() => undefined);
      if (answer !== undefined) refused(answer);
    });
  }

  it('The server accepts a certificate whose purposes include client authentication or everything', async () => {
    for (const purpose of [CLIENT_AUTH, '551d2500']) {
      const more: Subject['more'] = [
        [keyUsage, 'critical', usage(0x80)],
        [extendedKeyUsage, 'critical', purposes('2b06010505070301', purpose)],
        [unknown, 'not critical', Buffer.from('0500', 'hex')],
      ];
      for (const keys of [
        generateKeyPairSync('rsa', { modulusLength: 2048 }),
        generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      ]) {
        // prettier-ignore
        const fit = certificateFor({ ...NAMED, more, keys }, authority);
        granted(await ask('tls_client_auth_san_dns', fit), fit);
        granted(await askProxied('tls_client_auth_san_dns', `:${base64Of(fit)}:`), fit);
      }
    }
  });

  it('The server refuses a registered self-signed certificate with a weak key', async () => {
    const { status, body } = await askProxied('weak', `:${base64Of(weak)}:`);
    assert.deepEqual([status, body['error']], [401, 'invalid_client']);
  });

  it('The server does not start with an authority whose own limits it cannot enforce', async () => {
    const limits: Record<string, Partial<Subject>> = {
      'name constraints': { more: [[nameConstraints, 'critical', Buffer.from('3000', 'hex')]] },
      'no name constraints but something unknown': { more: [[unknown, 'critical', Buffer.from('0500', 'hex')]] },
      'servers only': { more: [[extendedKeyUsage, 'not critical', purposes('2b06010505070301')]] },
      'a weak key': { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) },
    };
    const file = join(directory, 'limited.pem');
    for (const [what, changes] of Object.entries(limits)) {
      await writeFile(file, certificateFor({ ...AUTHORITY, ...changes }).cert);
      const change = (config: Config): Config => ({
        ...config,
        listen: { ...config.listen, trusted_proxies: ['127.0.0.1'], client_certificates: { header: 'client-cert', ca: file } }, // prettier-ignore
      });
      await assert.rejects(
        startTestServer({ change }),
        /listen\.client_certificates\.ca: must not hold .*Client CA/,
        what,
      );
    }
  });

  it('The port for browsers requests no client certificate', async () => {
    refused(await ask('self', itself, direct.port));
  });

  it('The server ignores the certificate header of an untrusted peer', async () => {
    await using other = await startTestServer({
      change: (config) => ({
        ...config,
        listen: { ...config.listen, client_certificates: { header: 'client-cert', ca: join(directory, 'ca.pem') } },
        clients: [...config.clients, ...machines(config, jwk)],
      }),
    });
    const answer = await fetch(`${other.issuer}/token`, {
      method: 'POST',
      headers: { 'client-cert': `:${base64Of(named)}:` },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'tls_client_auth_san_dns' }),
    });
    assert.equal(answer.status, 401);
  });

  it('The metadata names the mutual TLS endpoints and methods', async () => {
    const request = httpsRequest(`${direct.issuer}/.well-known/openid-configuration`, { ca: tls.cert, agent: false });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const metadata = JSON.parse(await text(response)) as Record<string, unknown>;
    const aliases = metadata['mtls_endpoint_aliases'] as Record<string, string>;
    assert.equal(aliases['token_endpoint'], `https://localhost:${mtlsPort}/token`);
    assert.equal(aliases['userinfo_endpoint'], `https://localhost:${mtlsPort}/userinfo`);
    assert.equal(aliases['authorization_endpoint'], undefined);
    assert.equal(metadata['tls_client_certificate_bound_access_tokens'], true);
    const methods = metadata['token_endpoint_auth_methods_supported'] as string[];
    assert.ok(methods.includes('tls_client_auth') && methods.includes('self_signed_tls_client_auth'));
  });
});

/** Whoever sees the certificate can sign for this key: each message is its own signature. */
function withExponentOne(): KeyObject {
  const { n } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  return createPublicKey({ key: { kty: 'RSA', n: String(n), e: 'AQ' }, format: 'jwk' });
}

function base64Of({ cert }: Certificate): string {
  return new X509Certificate(cert).raw.toString('base64');
}
