import { DEMO_PASSWORD } from '../config/demo-password.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { AccountId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Store, type Stored } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import type { IsBreached } from './breached-passwords.ts';
import { readCommonPasswords } from './common-passwords.ts';
import { openHashing, type Hashing } from './hashing.ts';
import { OPERATOR, type Caller } from '../limits/lane.ts';
import {
  isPublished,
  isTooLong,
  normalisePassword,
  ownWords,
  type PasswordProblem,
  passwordProblem,
} from './password-rules.ts';
import { passwordStrength } from './strength.ts';

export interface Passwords {
  /**
   * Says what is wrong with a new password.
   * @throws TooBusy
   */
  problem(
    password: string,
    person: { email: string; name: string },
    caller: Caller,
  ): Promise<PasswordProblem | undefined>;
  /** Takes the password as it is; ask {@link Passwords.problem} before. @throws TooBusy */
  set(account: AccountId, password: string, caller: Caller): Promise<void>;
  /**
   * Does the long part of `set`.
   * @param instead the password that it takes the place of. @returns the rest: one write, by `store`. @throws TooBusy
   */
  prepare(account: AccountId, password: string, caller: Caller, instead?: PasswordAsRead): Promise<PreparedPassword>;
  /** Time of the last change in milliseconds since the epoch; undefined without a password. */
  changedAt(account: AccountId): Promise<number | undefined>;
  /** Reads as often for no account. */
  read(account: AccountId | undefined): Promise<PasswordAsRead>;
  /** Names the password that the account has now; another one after each change. Undefined where there is none. */
  versionOf(account: AccountId | undefined): Promise<string | undefined>;
  remove(account: AccountId): Promise<void>;
  /** Tells whether the account has the password that the demo publishes. @throws TooBusy */
  isPublished(account: AccountId): Promise<boolean>;
  /**
   * Does the same work whether or not the account is known and has a password, and however old its hash is. A hash
   * weaker than the configuration asks for is replaced once its password is right. The demo's password is right in the
   * demo alone.
   * @param read the account's password, where the caller has read it. @throws TooBusy
   */
  verify(
    account: AccountId | undefined,
    password: string,
    caller: Caller,
    read?: PasswordAsRead,
  ): Promise<'right' | 'wrong'>;
  /** @throws TooBusy when a hash would find no room now */
  assertRoom(caller: Caller): void;
  /**
   * Learns the parameters of stored hashes, of which an earlier version kept no list.
   * @param areAll whether there are no other accounts: parameters that no hash has any more are forgotten
   */
  learnCosts(accounts: readonly AccountId[], areAll: boolean): Promise<void>;
  /** Ends the process that hashes in the background. */
  close(): void;
}

/** A password that is hashed and not yet stored. */
export interface PreparedPassword {
  /** @returns false where another password was stored meanwhile, which stays */
  store: () => Promise<boolean>;
  /** As of `versionOf`, once it is stored. */
  version: string;
}

/** The password of an account as the store had it. */
export interface PasswordAsRead {
  /** As of `versionOf`. */
  version: string | undefined;
  record: Stored<PasswordRecord> | undefined;
}

export interface PasswordParts {
  records: Store;
  clock: Clock;
  random: Random;
  /** Asked about a new password that nothing else is wrong with. */
  isBreached?: IsBreached | undefined;
  /** Told of an account that would have been opened by the demo's password. */
  reportPublished?: ((account: AccountId) => void) | undefined;
}

export type PasswordSettings = Pick<Config, 'passwords' | 'branding' | 'isDemo'>;

export interface PasswordOptions extends PasswordParts {
  argon2: Config['passwords']['argon2'];
  /** In code points. */
  minLength: number;
  /** The server's name on its pages. A password that only repeats it is refused. */
  service: string;
  /** Set where the demo's password opens accounts here. */
  isDemo?: boolean;
}

interface PasswordRecord {
  /** PHC string: argon2id with its parameters and salt. */
  hash: string;
  /** Milliseconds since the epoch. */
  changedAt: number;
  /** Random, new with each change. Records of earlier versions have none. */
  version?: string;
}

const passwordKey = keyspace<PasswordRecord>('password');

/** The passwords of a server with these settings. */
export function passwordsFor(
  { passwords, branding, isDemo = false }: PasswordSettings,
  parts: PasswordParts,
): Passwords {
  const { records, clock, random, isBreached, reportPublished } = parts;
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
    // Says nothing about the account: nobody's password is that long.
    if (isTooLong(normalised)) return 'wrong';
    const { record: stored } = given ?? (await read(account));
    const { isRight, renewed: hash } = await hashing.verify(stored?.value.hash, normalised, caller);
    if (!isRight || stored === undefined || account === undefined) return 'wrong';
    if (isRefused(password, options)) options.reportPublished?.(account);
    if (isRefused(password, options)) return 'wrong';
    // A password changed in the meantime wins.
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

/** Finds the problems of new passwords where there is no store. */
export function passwordProblems(
  { passwords, branding, isDemo = false }: PasswordSettings,
  isBreached?: IsBreached,
): Passwords['problem'] {
  return problemFinder({ minLength: passwords.min_length, service: branding.name, isDemo, isBreached });
}

/** Free checks come first, and the look-up elsewhere last. */
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

/** The demo's password, which everybody can read, is worth nothing elsewhere. */
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

/** @returns false where `instead` is no more what is stored; a hash that was renewed is of the same password */
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
  let isFormer = false;
  const change = (now: PasswordRecord): PasswordRecord | undefined => {
    isFormer = versionIn(now) === instead.version;
    return isFormer ? next : undefined;
  };
  return (await update(records, key, instead.record, change)) && isFormer;
}

function versionIn({ version, changedAt }: PasswordRecord): string {
  return version ?? String(changedAt);
}
