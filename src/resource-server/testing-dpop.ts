import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { sha256 } from './bytes.ts';
import { now } from './timers.ts';

/** Headers of a request that a DPoP client makes. */
export interface DpopHeaders {
  readonly authorization: string;
  readonly dpop: string;
}

/** A client with a key of its own, to which its tokens are bound (RFC 9449). */
export interface TestDpopClient {
  /** For the claim `cnf` of its tokens. */
  readonly jkt: string;
  /** Makes the headers of one request; every request needs its own. @param url with scheme and host */
  headers(token: string, method: string, url: string, nonce?: string): Promise<DpopHeaders>;
}

export async function createDpopClient(): Promise<TestDpopClient> {
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
