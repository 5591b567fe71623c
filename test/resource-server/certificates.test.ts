import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createHash, X509Certificate } from 'node:crypto';
import { createServer, request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { calculateJwkThumbprint } from 'jose';
import { createVerifier, guard } from '../../src/resource-server/resource-server.ts';
import type { VerifierOptions } from '../../src/resource-server/resource-server.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import type { Certificate } from '../support/certificate.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { bearer, startApi } from './api.ts';
import { AUDIENCE, currentDate, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';

/** The year 2096, for what goes by the machine's clock. */
const LATER = 4_000_000_000;

const thumbprintOf = ({ cert }: Certificate): string =>
  Buffer.from(new X509Certificate(cert).fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');

describe('An API that accepts certificate-bound tokens (RFC 8705)', () => {
  const own = selfSignedCertificate();
  const other = selfSignedCertificate();
  let issuer: Issuer;
  let token: string;

  before(async () => {
    issuer = await startIssuer();
    token = await issuer.token({ cnf: { 'x5t#S256': thumbprintOf(own) } });
  });
  after(() => issuer.close());

  /** The status and body by which an API that ends TLS itself answers. */
  async function overTls(client?: Certificate, options: Partial<VerifierOptions> = {}): Promise<[unknown, string]> {
    const pass = guard(createVerifier({ issuer: issuer.url, audience: AUDIENCE, currentDate, ...options }));
    const server = createServer({ ...own, requestCert: true, rejectUnauthorized: false }, (request, response) => {
      void pass(request, response).then((passed) => passed && response.end(passed.sub));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const address = server.address();
      assert.ok(typeof address === 'object' && address !== null);
      const request = httpsRequest({
        host: '127.0.0.1',
        port: address.port,
        ca: own.cert,
        servername: 'localhost',
        agent: false,
        headers: bearer(token),
        ...client,
      });
      const [response] = (await once(request.end(), 'response')) as [IncomingMessage];
      return [response.statusCode, await text(response)];
    } finally {
      server.close();
    }
  }

  const refusal = {
    error: 'invalid_token',
    error_description: 'The access token is bound to a certificate other than that of this connection',
  };

  it('The API accepts a certificate-bound token on a connection with its certificate', async () =>
    assert.deepEqual(await overTls(own), [200, 'account-1']));

  it('The API refuses a certificate-bound token on a connection with another certificate or none', async () => {
    for (const client of [other, undefined]) assert.deepEqual(await overTls(client), [401, JSON.stringify(refusal)]);
  });

  it('The API refuses a certificate-bound token over plain HTTP, and the verifier refuses it without a request', async () => {
    await using api = await startApi(issuer);
    const answer = await api.ask({ headers: bearer(token) });
    assert.deepEqual([answer.status, JSON.parse(answer.body)], [401, refusal]);
    await assert.rejects(api.verifier.verify(token), { fault: 'sender_constrained' });
  });

  it('The API reads the client certificate only from the header that its owner configured', async () => {
    const encoded = (certificate: Certificate): string => encodeURIComponent(certificate.cert);
    await using api = await startApi(issuer, {
      certificate: (request) => {
        const [value] = request.headers('x-client-cert');
        return value === undefined ? undefined : decodeURIComponent(value);
      },
    });
    const statusWith = async (headers: Record<string, string>): Promise<unknown> =>
      (await api.ask({ headers: { ...bearer(token), ...headers } })).status;
    assert.equal(await statusWith({ 'x-client-cert': encoded(own) }), 200);
    for (const value of [encoded(other), 'nonsense', ''])
      assert.equal(await statusWith({ 'x-client-cert': value }), 401);
    assert.equal(await statusWith({ 'client-cert': encoded(own) }), 401);
    const der = { certificate: () => new X509Certificate(own.cert).raw };
    await using direct = await startApi(issuer, der);
    assert.equal((await direct.ask({ headers: bearer(token) })).status, 200);
    assert.deepEqual(await overTls(own, { certificate: () => undefined }), [401, JSON.stringify(refusal)]);
  });

  it('A token that is bound to a certificate and a key requires both', async () => {
    const holder = await newHolder();
    const jkt = await calculateJwkThumbprint(holder.jwk);
    const both = await issuer.token({ exp: LATER, cnf: { jkt, 'x5t#S256': thumbprintOf(own) } });
    const certificate = new X509Certificate(own.cert).raw;
    await using api = await startApi(issuer, {
      currentDate: () => new Date(),
      certificate: (request) => (request.headers('x-shows').length > 0 ? certificate : undefined),
    });
    const ath = createHash('sha256').update(both).digest('base64url');
    const statusWith = async (headers: Record<string, string>): Promise<unknown> =>
      (await api.ask({ headers: { authorization: `DPoP ${both}`, ...headers } })).status;
    const dpop = (): Promise<string> => proof(holder, { htm: 'GET', htu: `${AUDIENCE}/`, ath });
    assert.equal(await statusWith({ dpop: await dpop(), 'x-shows': 'yes' }), 200);
    assert.equal(await statusWith({ dpop: await dpop() }), 401);
    assert.equal(await statusWith({ 'x-shows': 'yes' }), 401);
  });
});
