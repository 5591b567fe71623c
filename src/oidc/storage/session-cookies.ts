import type { AdapterPayload } from 'oidc-provider';
import type { Random } from '../../lib/random.ts';
import {
  openRecord,
  sealedKeyspace,
  sealRecord,
  type Sealed,
  type Store,
  type Stored,
  type WriteOptions,
} from '../../storage/store.ts';
import { update } from '../../storage/update.ts';

/** The record of a session cookie, sealed under the cookie's value. */
interface Cookie {
  /** The session's uid. */
  uid: string;
  /**
   * The session's account, so that its not-before instants can be read in parallel with the session. Absent before
   * sign-in, and in records of earlier versions.
   */
  account?: string | undefined;
  /** A pending sign-out question, with the secret of its form. */
  state?: AdapterPayload['state'];
  /** True once another cookie has replaced it. */
  isRetiring?: true;
}

/** A cookie as a request found it. */
export interface FoundCookie {
  readonly id: string;
  readonly value: Cookie;
  readonly stored: Stored<Sealed<Cookie>>;
}

const cookieKey = sealedKeyspace<Sealed<Cookie>>('session-cookie');

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
    const stored = await this.#grants.get(cookieKey(id));
    return stored && { id, value: openRecord(id, stored.value), stored };
  }

  async add(id: string, cookie: Cookie, options: WriteOptions): Promise<void> {
    await this.#grants.set(cookieKey(id), sealRecord(id, cookie, this.#random), options);
  }

  /** Changes a cookie and extends its life, unless it was removed or replaced. */
  async keep(found: FoundCookie, change: (now: Cookie) => Cookie, options: WriteOptions): Promise<void> {
    await this.#update(found, (now) => (now.isRetiring ? undefined : change(now)), options);
  }

  async retire(found: FoundCookie): Promise<void> {
    await this.#update(found, (now) => ({ ...now, isRetiring: true }), { ttl: GRACE });
  }

  /** @returns whether the cookie existed */
  remove(id: string): Promise<boolean> {
    return this.#grants.delete(cookieKey(id));
  }

  async #update({ id, stored }: FoundCookie, change: (now: Cookie) => Cookie | undefined, options: WriteOptions) {
    const changeSealed = (now: Sealed<Cookie>): Sealed<Cookie> | undefined => {
      const changed = change(openRecord(id, now));
      return changed && sealRecord(id, changed, this.#random);
    };
    await update(this.#grants, cookieKey(id), stored, changeSealed, options);
  }
}
