import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify, type JWTVerifyGetKey } from 'jose';

export interface IssuedToken {
  jwt: string;
  audience: string;
}

/** Who verifies tokens: one reader for each node, which keeps the `/jwks` of that node for as long as it may. */
export class Readers {
  verified = 0;
  readonly #issuer: string;
  readonly #keySets: readonly JWTVerifyGetKey[];
  readonly #kids = new Set<string>();

  /** @param maxAge how long `/jwks` is kept, in seconds */
  constructor(issuer: string, nodes: readonly { url: string }[], maxAge: number) {
    this.#issuer = issuer;
    // No second look at a key that is not there: whoever has such a reader counts on the announcement alone.
    const options = { cacheMaxAge: maxAge * 1000, cooldownDuration: Infinity };
    this.#keySets = nodes.map(({ url }) => createRemoteJWKSet(new URL('/jwks', url), options));
  }

  /** How often the key that signs has changed, as far as tokens show. */
  get rotations(): number {
    return Math.max(0, this.#kids.size - 1);
  }

  /** @throws JOSEError of the first reader that refuses the token */
  async verify({ jwt, audience }: IssuedToken): Promise<void> {
    this.#kids.add(decodeProtectedHeader(jwt).kid ?? '');
    for (const keys of this.#keySets) await jwtVerify(jwt, keys, { issuer: this.#issuer, audience });
    this.verified += 1;
  }
}
