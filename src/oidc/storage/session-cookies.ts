import type { AdapterPayload } from 'oidc-provider';
import { sha256 } from '../../lib/hash.ts';
import type { Random } from '../../lib/random.ts';
import { keyspace, type Key, type Store, type Stored, type WriteOptions } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { seal, unseal } from '../../lib/seal.ts';

/** The record of a session cookie. It is found by the hash of the cookie's value and sealed under that value. */
export interface Cookie {
  /** The session's uid. */
  uid: string;
  /** The session's account, to read its not-before instants in parallel. Absent in records of earlier versions. */
  account?: string | undefined;
  /** A pending sign-out question, with the secret of its form. */
  state?: AdapterPayload['state'];
  /** True once another cookie has replaced it. */
  isRetiring?: true;
}

interface Sealed {
  sealed: string;
}

/** A cookie as a request found it. */
export interface FoundCookie {
  readonly id: string;
  readonly value: Cookie;
  readonly stored: Stored<Sealed>;
}

const cookieKey = keyspace<Sealed>('session-cookie');

/** Time in seconds for which a replaced cookie stays valid, for requests under way and for lost responses. */
const GRACE = 60;

export class SessionCookies {
  readonly #grants: Store;
  readonly #random: Random;

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  async find(id: string): Promise<FoundCookie | undefined> {
    const stored = await this.#grants.get(keyOf(id));
    return stored && { id, value: open(id, stored.value), stored };
  }

  async add(id: string, cookie: Cookie, options: WriteOptions): Promise<void> {
    await this.#grants.set(keyOf(id), this.#close(id, cookie), options);
  }

  /** Extends a cookie's life, unless it was removed or replaced. */
  async keep(found: FoundCookie, change: (now: Cookie) => Cookie, options: WriteOptions): Promise<void> {
    await this.#update(found, (now) => (now.isRetiring ? undefined : change(now)), options);
  }

  async retire(found: FoundCookie): Promise<void> {
    await this.#update(found, (now) => ({ ...now, isRetiring: true }), { ttl: GRACE });
  }

  /** @returns whether it existed */
  remove(id: string): Promise<boolean> {
    return this.#grants.delete(keyOf(id));
  }

  async #update({ id, stored }: FoundCookie, change: (now: Cookie) => Cookie | undefined, options: WriteOptions) {
    const changeSealed = (now: Sealed): Sealed | undefined => {
      const changed = change(open(id, now));
      return changed && this.#close(id, changed);
    };
    await update(this.#grants, keyOf(id), stored, changeSealed, options);
  }

  #close(id: string, cookie: Cookie): Sealed {
    return { sealed: seal(id, JSON.stringify(cookie), this.#random) };
  }
}

function keyOf(id: string): Key<Sealed> {
  return cookieKey(sha256(id));
}

function open(id: string, { sealed }: Sealed): Cookie {
  return JSON.parse(unseal(id, sealed)) as Cookie;
}
