import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

export interface IssuedToken {
  jwt: string;
  audience: string;
}

/** Who verifies tokens: one reader for each node, which keeps the `/jwks` of that node for as long as it may. */
export class Readers {
  verified = 0;
  readonly #issuer: string;
  readonly #keySets: readonly KeptKeys[];
  readonly #kids = new Set<string>();

  /** @param maxAge how long `/jwks` is kept, in seconds */
  constructor(issuer: string, nodes: readonly { url: string }[], maxAge: number) {
    this.#issuer = issuer;
    this.#keySets = nodes.map(({ url }) => new KeptKeys(new URL('/jwks', url), maxAge * 1000));
  }

  /** How often the key that signs has changed, as far as tokens show. */
  get rotations(): number {
    return Math.max(0, this.#kids.size - 1);
  }

  /** @throws JOSEError of the first reader that refuses the token */
  async verify({ jwt, audience }: IssuedToken): Promise<void> {
    this.#kids.add(decodeProtectedHeader(jwt).kid ?? '');
    for (const kept of this.#keySets) await jwtVerify(jwt, await kept.keys(), { issuer: this.#issuer, audience });
    this.verified += 1;
  }
}

/**
 * The keys of a node, kept for as long as they may be: from when they were asked for, however long the answer took (RFC
 * 9111 §4.2.3). There is no second look at a key that is not there: whoever has such a reader counts on the announcement alone.
 */
class KeptKeys {
  readonly #url: URL;
  readonly #maxAge: number;
  #goodUntil = -Infinity;
  #keys: Promise<JWTVerifyGetKey> | undefined;

  /** @param maxAge in milliseconds */
  constructor(url: URL, maxAge: number) {
    this.#url = url;
    this.#maxAge = maxAge;
  }

  keys(): Promise<JWTVerifyGetKey> {
    const now = performance.now();
    if (this.#keys !== undefined && now < this.#goodUntil) return this.#keys;
    this.#goodUntil = now + this.#maxAge;
    this.#keys = this.#fetched();
    return this.#keys;
  }

  async #fetched(): Promise<JWTVerifyGetKey> {
    return createLocalJWKSet((await (await fetch(this.#url)).json()) as JSONWebKeySet);
  }
}
