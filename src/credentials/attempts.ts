import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { addressBlock, addressBlocks, widestBlock } from '../http/address-block.ts';
import { RefusalMemory } from '../limits/budget.ts';
import { type DelayRule, openRisingDelay, type RisingDelay } from './rising-delay.ts';

export interface Attempt {
  /** The address as typed and normalised, whether or not an account has it. */
  email: string;
  /** The caller's IP address. */
  address: string;
  /** The device's id, from a known-device token for the account of this email. */
  knownDevice: string | undefined;
  /** Names the account's current password. The known devices of one password share a count. */
  version?: string;
  /** True once the known devices of the account have guessed too often. */
  isDistrusted?: true;
}

export interface Attempts {
  /**
   * Counts an attempt before its password is checked. @returns seconds to wait, or 0; and the attempt as it was counted,
   * for {@link Attempts.succeeded} and {@link Attempts.notMade}
   */
  check(who: Attempt): Promise<{ wait: number; counted: Attempt }>;
  /** @returns seconds for which unknown devices of the block must wait, as far as this node remembers */
  blockPause(address: string): number;
  succeeded(counted: Attempt): Promise<void>;
  /** Uncounts an attempt whose password was never checked. */
  notMade(counted: Attempt): Promise<void>;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

/**
 * Limits on wrong guesses. Together they allow fewer than the 100 in a row of NIST SP 800-63B-4 §3.2.2. In a day, about
 * 60 guesses at one account can come from unknown addresses (40 of them from one address), and 37 from its known
 * devices (24 of them from one). The limit per address stops one password from being tried on many accounts. It is
 * mild, because an office may share an address, and pending attempts count until they succeed. The limits of wider IPv6
 * blocks also bound the counters that one subscriber can leave in the store by inventing addresses. Addresses without
 * an account cannot share counters, because their pauses would then reveal it.
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
 * Limits on password hashes, right or wrong. An address or IPv6 /48 gets a quarter of what one process can do, and an
 * account half of that. Known devices have their own counts, which no neighbour can use up.
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
  /** Set for the count of an address block. Its pauses end by time alone, so this node may remember them. */
  isOfBlock?: true;
}

interface Counts {
  /** Counts that a successful sign-in clears. */
  own: Count[];
  /** Counts of known devices. Once they are used up, the device counts as unknown. */
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
 * Third, if the known devices of an account guess too often together, they count as unknown: stolen cookies allow no
 * more guesses, and the owner may still try.
 */
export function openAttempts({ grants, clock }: { grants: Store; clock: Clock }): Attempts {
  const pauses = new RefusalMemory(clock);
  const rules = Object.entries({ ...GUESSES, ...WORK });
  const delays = Object.fromEntries(
    rules.map(([name, rule]) => [name, openRisingDelay({ grants, clock, rule })]),
  ) as Delays;

  async function check(who: Attempt): Promise<{ wait: number; counted: Attempt }> {
    const { own, devices, common, work } = countsFor(delays, who);
    const distrusted = { ...who, isDistrusted: true as const };
    // Another attempt during a pause does not lengthen it.
    const [areUsedUp, wait] = await Promise.all([longestPause(devices), longestPause([...own, ...common, ...work])]);
    if (wait > 0) return { wait, counted: who };
    if (areUsedUp > 0) return check(distrusted);
    const begun = await reserve(own, [...devices, ...common, ...work]);
    return begun.refusedBy.some((count) => devices.includes(count))
      ? check(distrusted)
      : { wait: begun.wait, counted: who };
  }

  /** Remembers the pauses of address blocks. */
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
     * A success does not clear the guesses of others. Otherwise a guesser could wipe them by signing in to their own
     * account.
     */
    async succeeded(counted) {
      const { own, devices, common } = countsFor(delays, counted);
      await Promise.all([...own.map(({ delay, subject }) => delay.clear(subject)), giveBack([...devices, ...common])]);
    },
    async notMade(counted) {
      const { own, devices, common, work } = countsFor(delays, counted);
      await giveBack([...own, ...devices, ...common, ...work]);
    },
  };
}

function countsFor(delays: Delays, { email, address, knownDevice, version = '', isDistrusted }: Attempt): Counts {
  const [block, site] = [addressBlock(address), widestBlock(address)];
  const device = knownDevice === undefined ? [] : [{ delay: delays.device, subject: `${email}\n${knownDevice}` }];
  if (knownDevice === undefined || isDistrusted)
    return {
      own: [{ delay: delays.place, subject: `${email}\n${block}` }, ...device],
      devices: [],
      common: [...guessesOfBlocks(delays, address), { delay: delays.account, subject: email }],
      work: [
        { delay: delays.blockWork, subject: site, isOfBlock: true },
        { delay: delays.accountWork, subject: email },
      ],
    };
  return {
    own: device,
    devices: [{ delay: delays.devices, subject: `${email}\n${version}` }],
    common: [],
    work: [
      { delay: delays.knownBlockWork, subject: site },
      { delay: delays.knownAccountWork, subject: email },
    ],
  };
}

/** An IPv4 address has one block, an IPv6 address its /64, /56 and /48. */
function guessesOfBlocks({ address, household, site }: Delays, from: string): Count[] {
  const wider = [address, household, site];
  return addressBlocks(from).map((subject, width) => ({ delay: wider[width] ?? site, subject, isOfBlock: true }));
}

/** Counts the caller's own count first, so that a burst that it stops adds nothing to shared counts. */
async function reserve(own: readonly Count[], others: readonly Count[]): Promise<{ wait: number; refusedBy: Count[] }> {
  const begun = await reserveAll(own);
  if (begun.wait > 0) return begun;
  const rest = await reserveAll(others);
  if (rest.wait > 0) await giveBack(own);
  return rest;
}

/** Reserves all counts or none, except that refusing counts keep theirs. */
async function reserveAll(counts: readonly Count[]): Promise<{ wait: number; refusedBy: Count[] }> {
  const waits = await Promise.all(counts.map(({ delay, subject }) => delay.reserve(subject)));
  const refusedBy = counts.filter((_, position) => (waits[position] ?? 0) > 0);
  if (refusedBy.length > 0) await giveBack(counts.filter((count) => !refusedBy.includes(count)));
  return { wait: Math.max(0, ...waits), refusedBy };
}

async function giveBack(counts: readonly Count[]): Promise<void> {
  await Promise.all(counts.map(({ delay, subject }) => delay.giveBack(subject)));
}
