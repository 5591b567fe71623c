// Public interface of `latchkey-resource-server/testing`: tools for the tests of an API.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';
import { sha256 } from './bytes.ts';
import { now } from './timers.ts';
import { TestStatus } from './testing-status.ts';

export interface TestIssuer extends AsyncDisposable {
  /** The issuer identifier, for `createVerifier`. */
  readonly issuer: string;
  /**
   * Returns an access token for the API, which is valid for five minutes. Its subject is `test-account` and its client
   * is `test-client`; it has no scopes or roles. The given claims (`sub`, `scope`, `roles`, `exp`, `acr`, …) override
   * these.
   */
  token(claims?: JWTPayload): Promise<string>;
  /** Creates a client with a key. `token({ cnf: { jkt: client.jkt } })` returns a token that is bound to that key. */
  dpopClient(): Promise<TestDpopClient>;
  /** Revokes a token. Every verifier that has seen a token of this issuer learns of it at once. */
  revoke(token: string): void;
  close(): Promise<void>;
}

/**
 * Starts a real issuer on a free port of this machine. It serves metadata, keys, a status list and its event stream.
 * @param options `audience`: the same as in the API's verifier
 */
export async function createTestIssuer({ audience }: { audience: string }): Promise<TestIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' }] };
  const sign = (claims: Record<string, unknown>, typ: string): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ, kid: 'test' }).sign(privateKey);

  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${portOf(server)}`;
  const status = new TestStatus(`${issuer}/status/test`, sign);
  publish(server, issuer, jwks, status);

  const close = async (): Promise<void> => {
    status.close();
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return {
    issuer,
    token(claims = {}) {
      const iat = Math.floor(now() / 1000);
      const names = { iss: issuer, aud: audience, sub: 'test-account', client_id: 'test-client' };
      const rest = { jti: crypto.randomUUID(), iat, exp: iat + 300, status: status.nextPlace() };
      return sign({ ...names, ...rest, ...claims }, 'at+jwt');
    },
    dpopClient: createDpopClient,
    revoke(token) {
      const { status: claim } = decodeJwt<{ status?: { status_list: { idx: number } } }>(token);
      if (claim === undefined) throw new Error('The token has no status list index');
      status.revoke(claim.status_list.idx);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function publish(server: Server, issuer: string, jwks: object, status: TestStatus): void {
  const metadata = { issuer, jwks_uri: `${issuer}/jwks`, status_events_endpoint: `${issuer}/status/events` };
  server.on('request', (request, response) => {
    const give = (value: object): unknown =>
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify(value));
    switch (request.url) {
      case '/.well-known/oauth-authorization-server':
        return give(metadata);
      case '/jwks':
        return give(jwks);
      case '/status/test':
        return status.giveList(response);
      case '/status/events':
        return status.giveStream(response);
      default:
        return response.writeHead(404).end();
    }
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return address.port;
}

/** Headers of a request that a DPoP client makes. */
export interface DpopHeaders {
  readonly authorization: string;
  readonly dpop: string;
}

/** A client with a key of its own, to which its tokens are bound (RFC 9449). */
export interface TestDpopClient {
  /** Thumbprint of the key, for the claim `cnf` of its tokens. */
  readonly jkt: string;
  /** Creates the headers of one request. Every request needs new ones. @param url with scheme and host */
  headers(token: string, method: string, url: string, nonce?: string): Promise<DpopHeaders>;
}

async function createDpopClient(): Promise<TestDpopClient> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  return {
    jkt: await calculateJwkThumbprint(jwk),
    async headers(token, method, url, nonce) {
      const claims = { htm: method, htu: url, ath: await sha256(token), jti: crypto.randomUUID() };
      const dpop = await new SignJWT({ ...claims, ...(nonce !== undefined && { nonce }) })
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
        .setIssuedAt(now() / 1000)
        .sign(privateKey);
      return { authorization: `DPoP ${token}`, dpop };
    },
  };
}
