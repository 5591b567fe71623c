import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { addressBlock } from '../http/address-block.ts';
import { type DelayRule, openRisingDelay, type RisingDelay } from './rising-delay.ts';

export interface Attempt {
  /** The address as typed and normalised, whether or not an account has it. */
  email: string;
  /** The caller's IP address. */
  address: string;
  /** The device's id, from a known-device token for this email. */
  knownDevice: string | undefined;
}

export interface Attempts {
  /** Counts the attempt before the password is looked at. @returns seconds to wait; 0 when it may be made */
  check(who: Attempt): Promise<{ wait: number }>;
  succeeded(who: Attempt): Promise<void>;
  /** Uncounts an attempt at which nobody looked at the password. */
  notMade(who: Attempt): Promise<void>;
}

const HOUR = 3600;
const DAY = 24 * HOUR;

/**
 * Each rule lets through fewer than the 100 wrong guesses in a row that NIST SP 800-63B §3.2.2 allows: in a day about
 * 40 from one place or device, about 85 on one account in all. The rule per address is against trying one password on many
 * accounts; it is mild because a whole office may share an address, and attempts under way count until they succeed.
 */
const RULES = {
  place: { name: 'place', free: 5, longest: HOUR, memory: DAY },
  device: { name: 'device', free: 5, longest: HOUR, memory: DAY },
  account: { name: 'account', free: 50, longest: HOUR, memory: DAY },
  address: { name: 'address', free: 100, longest: 60, memory: HOUR },
} as const satisfies Record<string, DelayRule>;

/**
 * Limits guessing at one account, from anywhere, and from one address, at any account. Two things keep a stranger from
 * locking an owner out. One address is slowed on its own count ("place": account and address) long before the account's
 * own limit is near. And a device on which the owner has signed in before is judged by its own count alone (OWASP,
 * "device cookies"), whatever happens elsewhere.
 */
export function openAttempts(options: { grants: Store; clock: Clock }): Attempts {
  const open = (rule: DelayRule) => openRisingDelay({ ...options, rule });
  const delays = {
    place: open(RULES.place),
    device: open(RULES.device),
    account: open(RULES.account),
    address: open(RULES.address),
  };

  function countsFor(who: Attempt): { own: Count; shared: Count[] } {
    if (who.knownDevice !== undefined) {
      return { own: { delay: delays.device, subject: `${who.email}\n${who.knownDevice}` }, shared: [] };
    }
    const block = addressBlock(who.address);
    return {
      own: { delay: delays.place, subject: `${who.email}\n${block}` },
      shared: [
        { delay: delays.address, subject: block },
        { delay: delays.account, subject: who.email },
      ],
    };
  }

  return {
    async check(who) {
      const { own, shared } = countsFor(who);
      const counts = [own, ...shared];
      // Asking again during a pause does not lengthen it.
      const remaining = await Promise.all(counts.map(({ delay, subject }) => delay.remaining(subject)));
      const wait = Math.max(...remaining);
      return { wait: wait > 0 ? wait : await reserveInTurn(counts) };
    },
    /** Others' guesses stay counted: a guesser with an account of their own could else wipe them by signing in. */
    async succeeded(who) {
      const { own, shared } = countsFor(who);
      await Promise.all([own.delay.clear(own.subject), ...shared.map(({ delay, subject }) => delay.giveBack(subject))]);
    },
    async notMade(who) {
      const { own, shared } = countsFor(who);
      await Promise.all([own, ...shared].map(({ delay, subject }) => delay.giveBack(subject)));
    },
  };
}

interface Count {
  delay: RisingDelay;
  subject: string;
}

/** In turn, so that a burst from one place, held up by its own count, adds nothing to the account's. */
async function reserveInTurn(counts: readonly Count[]): Promise<number> {
  for (const { delay, subject } of counts) {
    const wait = await delay.reserve(subject);
    if (wait > 0) return wait;
  }
  return 0;
}
