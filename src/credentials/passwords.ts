import { DEMO_PASSWORD } from '../config/loading/secret-strength.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { AccountId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Store, type Stored } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import type { IsBreached } from './breached-passwords.ts';
import {
  readCommonPasswords,
  isPublished,
  isTooLong,
  normalisePassword,
  ownWords,
  type PasswordProblem,
  passwordProblem,
} from './password-rules.ts';
import { openHashing, type Hashing } from './hashing.ts';
import { OPERATOR, type Caller } from '../limits/lane.ts';
import { passwordStrength } from './strength.ts';

export interface Passwords {
  /** Finds the problem with a new password. @throws TooBusy */
  problem(
    password: string,
    person: { email: string; name: string },
    caller: Caller,
  ): Promise<PasswordProblem | undefined>;
  /** Sets the password without checking it; call {@link Passwords.problem} first. @throws TooBusy */
  set(account: AccountId, password: string, caller: Caller): Promise<void>;
  /**
   * Does the slow part of `set`: it hashes the password. The result's `store` then makes the one write. @param instead
   * the password to replace. @throws TooBusy
   */
  prepare(account: AccountId, password: string, caller: Caller, instead?: PasswordAsRead): Promise<PreparedPassword>;
  /** Returns the time of the last change in milliseconds since the epoch; undefined without a password. */
  changedAt(account: AccountId): Promise<number | undefined>;
  /** Reads the password of an account. Without an account it makes the same read. */
  read(account: AccountId | undefined): Promise<PasswordAsRead>;
  /**
   * Returns the version of the account's current password, which changes with each password; undefined without a
   * password.
   */
  versionOf(account: AccountId | undefined): Promise<string | undefined>;
  remove(account: AccountId): Promise<void>;
  /** Tells whether the account has the password that the demo publishes. @throws TooBusy */
  isPublished(account: AccountId): Promise<boolean>;
  /**
   * Verifies a password with the same work whether or not the account exists, has a password, or has an old hash. A
   * right password renews a hash that is weaker than configured. Outside the demo, the demo's password is always wrong.
   * @param read the account's password, if the caller has already read it. @throws TooBusy
   */
  verify(
    account: AccountId | undefined,
    password: string,
    caller: Caller,
    read?: PasswordAsRead,
  ): Promise<'right' | 'wrong'>;
  /** Checks that the semaphore has room. @throws TooBusy if there is no room for a hash now */
  assertRoom(caller: Caller): void;
  /**
   * Learns the costs of stored hashes, which earlier versions did not record. @param areAll whether these are all
   * accounts; unused costs are then forgotten
   */
  learnCosts(accounts: readonly AccountId[], areAll: boolean): Promise<void>;
  /** Ends the process that hashes in the background. */
  close(): void;
}

/** A password that is hashed and not yet stored. */
interface PreparedPassword {
  /** Stores the password. @returns false if another password was stored meanwhile, which then stays */
  store: () => Promise<boolean>;
  /** The version that {@link Passwords.versionOf} returns once the password is stored. */
  version: string;
}

/** The stored password of an account. */
export interface PasswordAsRead {
  /** The version, as {@link Passwords.versionOf} returns it. */
  version: string | undefined;
  record: Stored<PasswordRecord> | undefined;
}

export interface PasswordDependencies {
  records: Store;
  clock: Clock;
  random: Random;
  /** Called for a new password that passes all other checks. */
  isBreached?: IsBreached | undefined;
  /** Called if the demo's password would have opened an account. */
  reportPublished?: ((account: AccountId) => void) | undefined;
}

export type PasswordSettings = Pick<Config, 'passwords' | 'branding' | 'isDemo'>;

interface PasswordOptions extends PasswordDependencies {
  argon2: Config['passwords']['argon2'];
  /** The least length of a new password, in code points. */
  minLength: number;
  /** The server's name on its pages. A password that consists of it is refused. */
  service: string;
  /** True if the demo's password is accepted here. */
  isDemo?: boolean;
}

interface PasswordRecord {
  /** PHC string: argon2id with its parameters and salt. */
  hash: string;
  /** The time of the change, in milliseconds since the epoch. */
  changedAt: number;
  /** A random value, new with each change. Records of earlier versions have none. */
  version?: string;
}

const passwordKey = keyspace<PasswordRecord>('password');

/** Opens the passwords of a server with these settings. */
export function passwordsFor(
  { passwords, branding, isDemo = false }: PasswordSettings,
  dependencies: PasswordDependencies,
): Passwords {
  const { records, clock, random, isBreached, reportPublished } = dependencies;
  return openPasswords({
    records,
    clock,
    random,
    isBreached,
    reportPublished,
    argon2: passwords.argon2,
    minLength: passwords.min_length,
    service: branding.name,
    isDemo,
  });
}

export function openPasswords(options: PasswordOptions): Passwords {
  const { records, clock, random } = options;
  const hashing = openHashing(options);
  const read = (account: AccountId | undefined) => readPassword(records, account);

  async function verify(
    account: AccountId | undefined,
    password: string,
    caller: Caller,
    given?: PasswordAsRead,
  ): Promise<'right' | 'wrong'> {
    const normalised = normalisePassword(password);
    // This early answer reveals nothing about the account, because nobody's password is that long.
    if (isTooLong(normalised)) return 'wrong';
    const { record: stored } = given ?? (await read(account));
    const { isRight, renewed: hash } = await hashing.verify(stored?.value.hash, normalised, caller);
    if (!isRight || stored === undefined || account === undefined) return 'wrong';
    if (isRefused(password, options)) options.reportPublished?.(account);
    if (isRefused(password, options)) return 'wrong';
    // Writes nothing if the password was changed meanwhile.
    if (hash !== undefined) await records.replace(passwordKey(account), { ...stored.value, hash }, stored.version);
    return 'right';
  }

  async function prepare(...[account, password, caller, instead]: Parameters<Passwords['prepare']>) {
    const hash = await hashing.hash(normalisePassword(password), caller);
    const version = random.bytes(9).toString('base64url');
    const store = () => storePassword(records, account, { hash, changedAt: clock.now(), version }, instead);
    return { version, store };
  }

  return {
    problem: problemFinder(options),
    async set(account, password, caller) {
      await (await prepare(account, password, caller)).store();
    },
    prepare,
    changedAt: async (account) => (await read(account)).record?.value.changedAt,
    read,
    versionOf: async (account) => (await read(account)).version,
    async remove(account) {
      await records.delete(passwordKey(account));
    },
    verify,
    isPublished: async (account) => isOpenedByDemo(hashing, await read(account)),
    assertRoom: (caller) => hashing.assertRoom(caller),
    close: () => hashing.close(),
    async learnCosts(accounts, areAll) {
      const known = await records.getMany(accounts.map((account) => passwordKey(account)));
      const hashes = known.flatMap((stored) => stored?.value.hash ?? []);
      await hashing.learn(hashes, areAll);
    },
  };
}

/** Makes the check of new passwords, which needs no store. */
export function passwordProblems(
  { passwords, branding, isDemo = false }: PasswordSettings,
  isBreached?: IsBreached,
): Passwords['problem'] {
  return problemFinder({ minLength: passwords.min_length, service: branding.name, isDemo, isBreached });
}

/** Makes the check of new passwords. Cheap checks come first, and the breach look-up comes last. */
function problemFinder(
  options: Pick<PasswordOptions, 'minLength' | 'service' | 'isBreached' | 'isDemo'>,
): Passwords['problem'] {
  const { minLength, service, isBreached } = options;
  const common = readCommonPasswords();
  return async (password, person, caller) => {
    if (isRefused(password, options)) return 'published';
    const context = { ...person, service };
    const problem = passwordProblem(password, { minLength, common, context });
    if (problem !== undefined) return problem;
    const normalised = normalisePassword(password);
    const weakness = await passwordStrength.weakness(normalised, ownWords(context), caller);
    return weakness ?? ((await isBreached?.(normalised)) === true ? 'breached' : undefined);
  };
}

/** Tells whether a password is refused because it is the published one of the demo, and this is not the demo. */
function isRefused(password: string, { isDemo = false }: Pick<PasswordOptions, 'isDemo'>): boolean {
  return isPublished(password) && !isDemo;
}

async function isOpenedByDemo(hashing: Hashing, { record }: PasswordAsRead): Promise<boolean> {
  return (await hashing.verify(record?.value.hash, DEMO_PASSWORD, OPERATOR)).isRight;
}

async function readPassword(records: Store, account: AccountId | undefined): Promise<PasswordAsRead> {
  const record = await records.get(passwordKey(account ?? 'none'));
  return { record, version: record && versionIn(record.value) };
}

/** Stores a password. @returns false if `instead` is no longer stored; a renewed hash counts as the same password */
async function storePassword(
  records: Store,
  account: AccountId,
  next: PasswordRecord,
  instead: PasswordAsRead | undefined,
): Promise<boolean> {
  const key = passwordKey(account);
  if (instead === undefined) {
    await records.set(key, next);
    return true;
  }
  const change = (now: PasswordRecord): PasswordRecord | undefined =>
    versionIn(now) === instead.version ? next : undefined;
  return (await update(records, key, instead.record, change)) === next;
}

function versionIn({ version, changedAt }: PasswordRecord): string {
  return version ?? String(changedAt);
}
