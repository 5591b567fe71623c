import { openAccounts } from '../accounts/accounts.ts';
import { DEMO_EMAILS } from '../config/loading/secret-strength.ts';
import type { StoreFormat } from '../storage/format.ts';
import { type Index, keyspace, type Key } from '../storage/store.ts';
import { passwordsFor, type PasswordDependencies, type PasswordSettings } from './passwords.ts';

/** The kind of server that made a store. */
export type Maker = 'demo' | 'configured';

interface StoreOrigin {
  maker: Maker;
  /** True if the store records its maker. Otherwise the server infers the maker from its accounts. */
  isMarked: boolean;
}

interface OriginRecord {
  maker: Maker;
}

interface OriginDependencies extends PasswordDependencies {
  config: PasswordSettings;
  format: Pick<StoreFormat, 'markNewStore'>;
}

const originKey: Key<OriginRecord> = keyspace<OriginRecord>('store-origin')('main');

/** Records that each server has written since the first version. Any of them shows that a server has used the store. */
const SIGNS_OF_LIFE: Key<unknown>[] = ['key-ring:main', 'store-marker:main'];
/** The index of all accounts. An entry shows that the store is in use. */
const everyAccount: Index<unknown> = 'accounts';

/** Returns the origin of a store; undefined if no server has started on it yet. @throws StoreUnavailable */
export async function originOf(dependencies: OriginDependencies): Promise<StoreOrigin | undefined> {
  const { records } = dependencies;
  const marked = await records.get(originKey);
  if (marked !== undefined) return { maker: marked.value.maker, isMarked: true };
  const signs = await records.getMany(SIGNS_OF_LIFE);
  const { keys: accounts } = await records.members(everyAccount, { limit: 1 });
  if (accounts.length === 0 && signs.every((sign) => sign === undefined)) return undefined;
  return { maker: (await hasDemoAccounts(dependencies)) ? 'demo' : 'configured', isMarked: false };
}

/**
 * Marks the store as made by this kind of server, unless it has a mark. @returns the origin of a store of the other
 * kind, which stays unchanged. @throws StoreUnavailable
 */
export async function claimStore(dependencies: OriginDependencies, maker: Maker): Promise<StoreOrigin | undefined> {
  const found = await originOf(dependencies);
  if (found !== undefined && found.maker !== maker) return found;
  // The format first: without its mark, a store counts as one of an earlier version.
  if (found === undefined) await dependencies.format.markNewStore();
  if (found?.isMarked === true || (await dependencies.records.create(originKey, { maker }))) return undefined;
  // Another server has marked the store in the meantime.
  return claimStore(dependencies, maker);
}

/** Tells whether a demo account still has the published password. */
async function hasDemoAccounts({ config, records, clock, random }: OriginDependencies): Promise<boolean> {
  const accounts = openAccounts({ records, clock, random });
  const passwords = passwordsFor(config, { records, clock, random });
  try {
    for (const email of DEMO_EMAILS) {
      const account = await accounts.findByEmail(email);
      if (account !== undefined && (await passwords.isPublished(account.id))) return true;
    }
    return false;
  } finally {
    passwords.close();
  }
}

/** Error for a store that the other kind of server made. */
class ForeignStore extends Error {
  override name = 'ForeignStore';
}

/**
 * Describes a store of the other kind to the operator, with the remedy. @param place the store URL without its password
 */
export function foreignStore({ maker, isMarked }: StoreOrigin, place: string): ForeignStore {
  if (maker === 'configured') {
    return new ForeignStore(
      `the store ${place} was created by a configured server, and the demo would add accounts to it whose password ` +
        'everybody knows. Name the configuration with --config FILE, or unset LATCHKEY_STORE to start the demo with its own store',
    );
  }
  const [first, second] = DEMO_EMAILS;
  const why = isMarked ? 'was created by the demo' : `has a demo account (${first} or ${second})`;
  const keep =
    'If you want to keep this store, remove those accounts with "latchkey accounts remove ACCOUNT" and start again';
  return new ForeignStore(
    `the store ${place} ${why}, whose password everybody knows, so a configured server does not open it. ` +
      `Name another store in stores or LATCHKEY_STORE${isMarked ? '' : `. ${keep}`}`,
  );
}
