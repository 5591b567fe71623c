import type { AccountId } from '../lib/ids.ts';
import { idOf, type Key, keyspace, type Store } from '../storage/store.ts';
import { type AccountKeys, SEALED } from './account-keys.ts';

/** The link from a trusted issuer's subject to an account. */
interface Link {
  account: string;
  /** Present if the key of the record is a keyed hash, as in format 2. */
  isKeyed?: true;
}

const linkKey: (id: string) => Key<Link> = keyspace<Link>('issuer-link');

/** Links from the subjects of trusted issuers to accounts. A subject is given as a hash of it and its issuer. */
export class IssuerLinks {
  readonly #store: Store;
  readonly #keys: AccountKeys;

  constructor(store: Store, keys: AccountKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  /** Returns the account of a subject, in every form that the store may have. */
  async find(subject: string): Promise<string | undefined> {
    const { oldest, reads } = await this.#keys.formats();
    const keyed = reads < SEALED ? [] : [await this.#keyed(subject)];
    const links = await this.#store.getMany([...keyed, ...(oldest < SEALED ? [linkKey(subject)] : [])]);
    return links.find((link) => link !== undefined)?.value.account;
  }

  async set(subject: string, account: AccountId): Promise<void> {
    const { writes } = await this.#keys.formats();
    if (writes < SEALED) await this.#store.set(linkKey(subject), { account });
    else await this.#store.set(await this.#keyed(subject), { account, isKeyed: true });
  }

  /** Replaces the links of format 1, for the upgrade of a store. @returns the records read and changed, by batch */
  async *seal(): AsyncGenerator<{ read: number; changed: number }> {
    for await (const items of this.#store.dump()) {
      const prefix = linkKey('');
      let changed = 0;
      for (const item of items) {
        if (item.kind !== 'record' || !item.key.startsWith(prefix)) continue;
        const link = JSON.parse(item.json) as Link;
        if (link.isKeyed) continue;
        // A node may have set a newer link meanwhile.
        await this.#store.create(await this.#keyed(idOf(item.key)), { account: link.account, isKeyed: true });
        await this.#store.delete(item.key);
        changed += 1;
      }
      yield { read: items.length, changed };
    }
  }

  async #keyed(subject: string): Promise<Key<Link>> {
    return linkKey((await this.#keys.cipher()).subject(subject));
  }
}
