import type { Clock } from '../lib/clock.ts';
import { hmacSha256 } from '../lib/hash.ts';
import type { Store } from '../storage/store.ts';
import { addressBlock, addressBlocks, widestBlock } from '../http/address-block.ts';
import { RefusalMemory } from '../limits/budget.ts';
import { type DelayRule, openRisingDelay, type RisingDelay } from './rising-delay.ts';

export interface Attempt {
  /** The email address that the caller typed, normalised. It need not belong to an account. */
  email: string;
  /** The caller's IP address. */
  address: string;
  /** The device's id, if the browser has a known-device token for this account. */
  knownDevice: string | undefined;
  /** The version of the account's current password. All devices that are known by this password share a count. */
  version?: string;
  /** True once the known devices of the account have together guessed too often. */
  isDistrusted?: true;
}

export interface Attempts {
  /**
   * Counts an attempt before its password is checked. @returns the seconds to wait, or 0, and the attempt as it was
   * counted, for {@link Attempts.succeeded} and {@link Attempts.notMade}
   */
  check(who: Attempt): Promise<{ wait: number; counted: Attempt }>;
  /**
   * Reads the pause of an address. @returns the seconds that unknown devices in its block must wait, as far as this
   * node remembers
   */
  blockPause(address: string): number;
  succeeded(counted: Attempt): Promise<void>;
  /** Removes an attempt from the counts, because its password was never checked. */
  notMade(counted: Attempt): Promise<void>;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

/**
 * Limits on wrong guesses. Together they allow fewer consecutive guesses than the 100 of NIST SP 800-63B-4 §3.2.2. In a
 * day, about 60 guesses at one account can come from unknown IP addresses (40 of them from one address), and 37 from
 * its known devices (24 of them from one device). The limit per IP address stops a caller from trying one password on
 * many accounts. It is mild, because an office may share an address, and pending attempts count until they succeed. The
 * limits of wider IPv6 blocks also bound the counters that one subscriber can leave in the store by inventing email
 * addresses. An email address without an account has counters of its own, because the pauses of shared ones would
 * reveal that the account does not exist.
 */
const GUESSES = {
  place: { name: 'place', free: 5, longest: HOUR, memory: DAY },
  device: { name: 'device', free: 5, longest: 4 * HOUR, memory: DAY },
  devices: { name: 'devices', free: 20, longest: DAY, memory: DAY },
  account: { name: 'account', free: 25, longest: HOUR, memory: DAY },
  address: { name: 'address', free: 100, longest: MINUTE, memory: HOUR },
  household: { name: 'household', free: 200, longest: MINUTE, memory: HOUR },
  site: { name: 'site', free: 400, longest: MINUTE, memory: HOUR },
} as const satisfies Record<string, DelayRule>;

/**
 * Limits on password checks, right or wrong. An IPv4 address or IPv6 /48 may use a quarter of the hashes that one
 * process can do, and an account half of that quarter. Known devices have their own counts, which no neighbour can use
 * up.
 */
const WORK = {
  blockWork: { name: 'block-work', free: 600, longest: MINUTE, memory: MINUTE },
  accountWork: { name: 'account-work', free: 300, longest: MINUTE, memory: MINUTE },
  knownBlockWork: { name: 'known-block-work', free: 600, longest: MINUTE, memory: MINUTE },
  knownAccountWork: { name: 'known-account-work', free: 300, longest: MINUTE, memory: MINUTE },
} as const satisfies Record<string, DelayRule>;

type Delays = Record<keyof typeof GUESSES | keyof typeof WORK, RisingDelay>;

interface Count {
  delay: RisingDelay;
  subject: string;
  /** Set for the count of an address block. Only time ends its pauses, so this node may remember them. */
  isOfBlock?: true;
}

interface Counts {
  /** Counts that a successful sign-in clears. */
  own: Count[];
  /** Counts of known devices. Once they are used up, the device is treated as unknown. */
  devices: Count[];
  /** Counts that a successful sign-in reduces. */
  common: Count[];
  /** Counts that a successful sign-in does not change. */
  work: Count[];
}

/**
 * Limits guesses at one account from anywhere, and from one address at any account. Three rules keep a stranger from
 * locking out an owner. First, each address has its own count for an account ("place"), which slows it long before the
 * account's limit. Second, a device on which the owner has signed in has its own count (OWASP, "device cookies").
 * Third, if the known devices of an account together guess too often, they are treated as unknown. Stolen cookies then
 * allow no more guesses, and the owner may still try.
 */
export function openAttempts({ grants, clock, key }: { grants: Store; clock: Clock; key: Buffer }): Attempts {
  const pauses = new RefusalMemory(clock);
  const rules = Object.entries({ ...GUESSES, ...WORK });
  const delays = Object.fromEntries(
    rules.map(([name, rule]) => [name, openRisingDelay({ grants, clock, rule })]),
  ) as Delays;

  async function check(who: Attempt): Promise<{ wait: number; counted: Attempt }> {
    const { own, devices, common, work } = countsFor(delays, key, who);
    const distrusted = { ...who, isDistrusted: true as const };
    // An attempt during a pause does not lengthen the pause.
    const [areUsedUp, wait] = await Promise.all([longestPause(devices), longestPause([...own, ...common, ...work])]);
    if (wait > 0) return { wait, counted: who };
    if (areUsedUp > 0) return check(distrusted);
    const begun = await reserve(own, [...devices, ...common, ...work]);
    return begun.refusedBy.some((count) => devices.includes(count))
      ? check(distrusted)
      : { wait: begun.wait, counted: who };
  }

  /** Returns the longest pause in seconds, and remembers the pauses of address blocks. */
  async function longestPause(counts: readonly Count[]): Promise<number> {
    const waits = await Promise.all(
      counts.map(async ({ delay, subject, isOfBlock }) => {
        const wait = await delay.remaining(subject);
        if (wait > 0 && isOfBlock) pauses.note(subject, wait * 1000);
        return wait;
      }),
    );
    return Math.max(0, ...waits);
  }

  return {
    check,
    blockPause(address) {
      return Math.ceil(Math.max(...addressBlocks(address).map((block) => pauses.remaining(block))) / 1000);
    },
    /**
     * A success clears no counts that others share. Otherwise a guesser could clear them by signing in to their own
     * account.
     */
    async succeeded(counted) {
      const { own, devices, common } = countsFor(delays, key, counted);
      await Promise.all([...own.map(({ delay, subject }) => delay.clear(subject)), refund([...devices, ...common])]);
    },
    async notMade(counted) {
      const { own, devices, common, work } = countsFor(delays, key, counted);
      await refund([...own, ...devices, ...common, ...work]);
    },
  };
}

function countsFor(
  delays: Delays,
  key: Buffer,
  { email, address, knownDevice, version = '', isDistrusted }: Attempt,
): Counts {
  // A reader of the store cannot try addresses against a keyed hash.
  const person = hmacSha256(key, email);
  const [block, site] = [addressBlock(address), widestBlock(address)];
  const device = knownDevice === undefined ? [] : [{ delay: delays.device, subject: `${person}\n${knownDevice}` }];
  if (knownDevice === undefined || isDistrusted)
    return {
      own: [{ delay: delays.place, subject: `${person}\n${block}` }, ...device],
      devices: [],
      common: [...guessesOfBlocks(delays, address), { delay: delays.account, subject: person }],
      work: [
        { delay: delays.blockWork, subject: site, isOfBlock: true },
        { delay: delays.accountWork, subject: person },
      ],
    };
  return {
    own: device,
    devices: [{ delay: delays.devices, subject: `${person}\n${version}` }],
    common: [],
    work: [
      { delay: delays.knownBlockWork, subject: site },
      { delay: delays.knownAccountWork, subject: person },
    ],
  };
}

/** Returns the guess counts of an address: one for IPv4, or those of its /64, /56 and /48 for IPv6. */
function guessesOfBlocks({ address, household, site }: Delays, from: string): Count[] {
  const wider = [address, household, site];
  return addressBlocks(from).map((subject, width) => ({ delay: wider[width] ?? site, subject, isOfBlock: true }));
}

/** Reserves the caller's own count first, so that a burst that this count stops adds nothing to shared counts. */
async function reserve(own: readonly Count[], others: readonly Count[]): Promise<{ wait: number; refusedBy: Count[] }> {
  const begun = await reserveAll(own);
  if (begun.wait > 0) return begun;
  const rest = await reserveAll(others);
  if (rest.wait > 0) await refund(own);
  return rest;
}

/** Reserves the attempt in all counts. If some of them refuse it, only these keep it. */
async function reserveAll(counts: readonly Count[]): Promise<{ wait: number; refusedBy: Count[] }> {
  const waits = await Promise.all(counts.map(({ delay, subject }) => delay.reserve(subject)));
  const refusedBy = counts.filter((_, position) => (waits[position] ?? 0) > 0);
  if (refusedBy.length > 0) await refund(counts.filter((count) => !refusedBy.includes(count)));
  return { wait: Math.max(0, ...waits), refusedBy };
}

async function refund(counts: readonly Count[]): Promise<void> {
  await Promise.all(counts.map(({ delay, subject }) => delay.refund(subject)));
}
