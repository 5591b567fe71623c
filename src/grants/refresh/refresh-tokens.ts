import { Provider, type Adapter, type AdapterPayload, type KoaContextWithOIDC } from 'oidc-provider';
import { sha256 } from '../../lib/hash.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { sealedAdapter, type SealedPayload } from '../../oidc/storage/adapter.ts';
import { keyspace, openRecord, type Key, type Store, type Stored } from '../../storage/store.ts';

/** A refresh token's record. A used one stays until it expires, so that a replay is detected. */
interface Token extends SealedPayload {
  use?: Use;
}

/**
 * The single use of a refresh token. The server records it by a compare-and-swap of the whole record, so there is never
 * a second use.
 */
interface Use {
  /** Time of the use, in milliseconds since the epoch. */
  at: number;
  /** The name under which its successor is stored. */
  successor: string;
}

/** A token as a request found it. */
export interface FoundToken {
  readonly value: string;
  readonly payload: AdapterPayload;
  readonly use?: Use;
  readonly stored: Stored<Token>;
}

export type UsedToken = FoundToken & { readonly use: Use };

export function hasUse(token: FoundToken): token is UsedToken {
  return token.use !== undefined;
}

/** Thrown instead of issuing tokens, once a used token has passed all of the engine's checks. */
export class ChecksPassed extends Error {
  override name = 'ChecksPassed';
}

const tokenKey = keyspace<Token>('refresh-token');

/** Returns the name under which a token is stored. The record of the token's predecessor contains this name. */
export const nameOf = sha256;

const keyOf = (value: string): Key<Token> => tokenKey(nameOf(value));

export class RefreshTokens {
  /**
   * The engine's adapter. During a refresh, it returns the token that the refresh found, and does not record its use
   * before there is a response.
   */
  readonly adapter: Adapter;
  readonly #grants: Store;
  readonly #clock: Clock;
  readonly #refreshing = new WeakMap<KoaContextWithOIDC, FoundToken>();

  constructor(grants: Store, clock: Clock, random: Random) {
    this.#grants = grants;
    this.#clock = clock;
    this.adapter = {
      ...sealedAdapter({ grants, clock, random }, keyOf),
      find: (value) => this.#show(value),
      consume: (value) => this.#passChecks(value),
    };
  }

  async find(value: string): Promise<FoundToken | undefined> {
    const stored = await this.#grants.get(keyOf(value));
    if (stored === undefined) return undefined;
    const { use } = stored.value;
    const payload = openRecord(value, stored.value);
    return { value, payload, stored, ...(use && { use }) };
  }

  async isUnused(name: string): Promise<boolean> {
    const stored = await this.#grants.get(tokenKey(name));
    return stored !== undefined && stored.value.use === undefined;
  }

  /** Makes the engine treat this token as unused during this request. */
  present(context: KoaContextWithOIDC, token: FoundToken): void {
    this.#refreshing.set(context, token);
  }

  /**
   * Marks the token as used if its record is unchanged. A used token leaves the index of its grant, because revoking it
   * would have no effect. @returns whether this call marked it
   */
  async use(token: FoundToken, successor: string): Promise<boolean> {
    const { value, stored } = token;
    const used = { ...stored.value, use: { at: this.#clock.now(), successor } };
    const ttl = this.lifeOf(token);
    return this.#grants.replace(keyOf(value), used, stored.version, ttl === undefined ? {} : { ttl });
  }

  /** Returns the token's remaining life in seconds. */
  lifeOf({ stored: { expiresAt } }: FoundToken): number | undefined {
    return expiresAt === undefined ? undefined : Math.max(1, (expiresAt - this.#clock.now()) / 1000);
  }

  async #show(value: string): Promise<AdapterPayload | undefined> {
    const presented = Provider.ctx && this.#refreshing.get(Provider.ctx);
    if (presented?.value === value) return presented.payload;
    const found = await this.find(value);
    if (found?.use === undefined) return found?.payload;
    return { ...found.payload, consumed: Math.floor(found.use.at / 1000) };
  }

  #passChecks(value: string): Promise<void> {
    const presented = Provider.ctx && this.#refreshing.get(Provider.ctx);
    if (presented?.value !== value) throw new Error('a refresh token is used outside of a refresh');
    return presented.use === undefined ? Promise.resolve() : Promise.reject(new ChecksPassed());
  }
}
