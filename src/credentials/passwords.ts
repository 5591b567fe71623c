import argon2, { type HashOptions } from 'argon2';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { AccountId } from '../lib/ids.ts';
import { keyspace, type Store } from '../storage/store.ts';
import { readCommonPasswords } from './common-passwords.ts';
import { openGate } from './gate.ts';
import { isTooLong, normalisePassword, type PasswordProblem, passwordProblem } from './password-rules.ts';

export interface Passwords {
  problem(password: string, person: { email: string; name: string }): PasswordProblem | undefined;
  /** Takes the password as it is; ask {@link Passwords.problem} before. @throws TooBusy */
  set(account: AccountId, password: string): Promise<void>;
  /** When it was set, in milliseconds since the epoch; undefined where there is none. */
  changedAt(account: AccountId): Promise<number | undefined>;
  remove(account: AccountId): Promise<void>;
  /**
   * Does the same work whether or not the account is known and has a password. A hash weaker than the configuration
   * asks for is replaced once its password is right. @throws TooBusy
   */
  verify(account: AccountId | undefined, password: string): Promise<'right' | 'wrong'>;
}

export interface PasswordOptions {
  records: Store;
  clock: Clock;
  argon2: Config['passwords']['argon2'];
  /** In code points. */
  minLength: number;
  /** What the server calls itself; a password that only says this is refused. */
  service: string;
}

interface PasswordRecord {
  /** PHC string: argon2id with its parameters and salt. */
  hash: string;
  /** Milliseconds since the epoch. */
  changedAt: number;
}

const passwordKey = keyspace<PasswordRecord>('password');

/** Hashes at once. They share libuv's four threads with token signing, which must not wait for them. */
const AT_ONCE = 2;
/** About a second of work: whoever stands further back is better told to come again. */
const WAITING = 64;

export function openPasswords(options: PasswordOptions): Passwords {
  const { records, clock, minLength, service } = options;
  const cost: HashOptions = {
    type: argon2.argon2id,
    memoryCost: options.argon2.memory_kib,
    timeCost: options.argon2.passes,
    parallelism: options.argon2.parallelism,
  };
  const common = readCommonPasswords();
  const gate = openGate({ atOnce: AT_ONCE, waiting: WAITING });
  const nobodysHash = hashThatNothingMatches(options.argon2);

  async function verify(account: AccountId | undefined, password: string): Promise<'right' | 'wrong'> {
    const normalised = normalisePassword(password);
    // Says nothing about the account: nobody's password is that long.
    if (isTooLong(normalised)) return 'wrong';
    const stored = await records.get(passwordKey(account ?? 'none'));
    return gate.run(async () => {
      const isRight = await argon2.verify(stored?.value.hash ?? nobodysHash, normalised);
      if (!isRight || stored === undefined || account === undefined) return 'wrong';
      if (isWeaker(stored.value.hash, options.argon2)) {
        const hash = await argon2.hash(normalised, cost);
        // A password changed in the meantime wins.
        await records.replace(passwordKey(account), { ...stored.value, hash }, stored.version);
      }
      return 'right';
    });
  }

  return {
    problem: (password, person) => passwordProblem(password, { minLength, common, context: { ...person, service } }),
    async set(account, password) {
      const hash = await gate.run(() => argon2.hash(normalisePassword(password), cost));
      await records.set(passwordKey(account), { hash, changedAt: clock.now() });
    },
    async changedAt(account) {
      return (await records.get(passwordKey(account)))?.value.changedAt;
    },
    async remove(account) {
      await records.delete(passwordKey(account));
    },
    verify,
  };
}

/** Costs what a real one costs to verify; that some password hashes to zeros is as likely as guessing a key. */
function hashThatNothingMatches(cost: Config['passwords']['argon2']): string {
  const zeros = (bytes: number) => Buffer.alloc(bytes).toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=${cost.memory_kib},t=${cost.passes},p=${cost.parallelism}$${zeros(16)}$${zeros(32)}`;
}

/** Lower memory or fewer passes; parallelism makes guessing no harder. */
function isWeaker(hash: string, cost: Config['passwords']['argon2']): boolean {
  const parameter = (name: string): number => Number(new RegExp(`[$,]${name}=(\\d+)`).exec(hash)?.[1] ?? 0);
  return parameter('m') < cost.memory_kib || parameter('t') < cost.passes;
}
