import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { addressBlock, addressBlocks, widestBlock } from '../http/address-block.ts';
import { RefusalMemory } from '../limits/refusal-memory.ts';
import { type DelayRule, openRisingDelay, type RisingDelay } from './rising-delay.ts';

export interface Attempt {
  /** The address as typed and normalised, whether or not an account has it. */
  email: string;
  /** The caller's IP address. */
  address: string;
  /** The device's id, from a known-device token for the account of this email. */
  knownDevice: string | undefined;
  /** Names the account's present password, whose known devices have a count together. */
  version?: string;
  /** The known devices of the account have guessed too often. */
  isDistrusted?: true;
}

export interface Attempts {
  /**
   * Counts the attempt before the password is looked at.
   * @returns seconds to wait, 0 when it may be made; and as what it was counted, which the other two take
   */
  check(who: Attempt): Promise<{ wait: number; counted: Attempt }>;
  /** @returns seconds for which no unknown device of an address may try, as far as this node remembers */
  blockPause(address: string): number;
  succeeded(counted: Attempt): Promise<void>;
  /** Uncounts an attempt at which nobody looked at the password. */
  notMade(counted: Attempt): Promise<void>;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

/**
 * Wrong guesses. Together they let through fewer than the 100 in a row that NIST SP 800-63B-4 §3.2.2 allows: in a day
 * about 60 on one account from unknown places, 40 of them from one, and 37 from its known devices, 24 of them from one. The
 * rule per address is against trying one password on many accounts; it is mild because a whole office may share an
 * address, and attempts under way count until they succeed. The rules of wider IPv6 blocks also bound how many counters
 * one subscriber can leave in the store by making addresses up. Those that no account has cannot share counters: their
 * pauses would then tell that no account has them.
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
 * Password hashes, whether the password is right or wrong: a quarter of what one process can do for one address or IPv6
 * /48, half of that for one account. Known devices are counted apart, so that no neighbour uses up theirs.
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
  /** The count of an address block: its pauses end by time alone, so this node may remember them. */
  isOfBlock?: true;
}

interface Counts {
  /** Forgotten after a success. */
  own: Count[];
  /** Once it is used up, the device counts as an unknown one. */
  devices: Count[];
  /** A success is uncounted. */
  common: Count[];
  /** A success counts too. */
  work: Count[];
}

/**
 * Limits guessing at one account, from anywhere, and from one address, at any account. Three things keep a stranger from
 * locking an owner out. One address is slowed on its own count ("place": account and address) long before the account's
 * own limit is near. A device on which the owner has signed in before is judged by its own count, whatever happens
 * elsewhere (OWASP, "device cookies"). And where the known devices of an account have guessed too often together, they
 * count as unknown ones: stolen cookies open no further guesses, and the owner may still try.
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
    // Asking again during a pause does not lengthen it.
    const [areUsedUp, wait] = await Promise.all([longestPause(devices), longestPause([...own, ...common, ...work])]);
    if (wait > 0) return { wait, counted: who };
    if (areUsedUp > 0) return check(distrusted);
    const begun = await reserve(own, [...devices, ...common, ...work]);
    return begun.refusedBy.some((count) => devices.includes(count))
      ? check(distrusted)
      : { wait: begun.wait, counted: who };
  }

  /** Remembers those of blocks. */
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
    /** Others' guesses stay counted: a guesser with an account of their own could else wipe them by signing in. */
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

/** The own count first, so that a burst that it holds up adds nothing to those of others. */
async function reserve(own: readonly Count[], others: readonly Count[]): Promise<{ wait: number; refusedBy: Count[] }> {
  const begun = await reserveAll(own);
  if (begun.wait > 0) return begun;
  const rest = await reserveAll(others);
  if (rest.wait > 0) await giveBack(own);
  return rest;
}

/** All or none, but for the counts that refuse. */
async function reserveAll(counts: readonly Count[]): Promise<{ wait: number; refusedBy: Count[] }> {
  const waits = await Promise.all(counts.map(({ delay, subject }) => delay.reserve(subject)));
  const refusedBy = counts.filter((_, position) => (waits[position] ?? 0) > 0);
  if (refusedBy.length > 0) await giveBack(counts.filter((count) => !refusedBy.includes(count)));
  return { wait: Math.max(0, ...waits), refusedBy };
}

async function giveBack(counts: readonly Count[]): Promise<void> {
  await Promise.all(counts.map(({ delay, subject }) => delay.giveBack(subject)));
}
