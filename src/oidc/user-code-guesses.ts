import { errors, Provider as Engine, type Provider } from 'oidc-provider';
import { addressBlock } from '../http/address-block.ts';
import { openRisingDelay, type DelayRule } from '../credentials/rising-delay.ts';
import type { Announce } from '../events/events.ts';
import { clientAddress } from '../http/client-address.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';

const HOUR = 3600;

/**
 * A guessed code lets a stranger put an account of theirs on somebody's device (RFC 8628 §5.1). There are 20^8 codes,
 * and each lives for minutes; these rules leave a place about thirty guesses in an hour. A household types badly from
 * one address, so that rule is the milder one.
 */
const RULES = {
  session: { name: 'user-code-session', free: 5, longest: 600, memory: HOUR },
  address: { name: 'user-code-address', free: 20, longest: 600, memory: HOUR },
} as const satisfies Record<string, DelayRule>;

/** Too many codes that lead nowhere came from one browser or address. */
export class TooManyGuesses extends errors.OIDCProviderError {
  /** Until the next may be tried. */
  readonly seconds: number;
  constructor(seconds: number) {
    super(429, 'slow_down');
    this.seconds = seconds;
  }
}

/** Counts the codes that people type before they are looked up, and uncounts the right ones. */
export function limitGuesses(
  engine: Provider['DeviceCode']['findByUserCode'],
  { announce, provider, grants, clock }: { grants: Store; clock: Clock; announce: Announce; provider: Provider },
): Provider['DeviceCode']['findByUserCode'] {
  const session = openRisingDelay({ grants, clock, rule: RULES.session });
  const address = openRisingDelay({ grants, clock, rule: RULES.address });
  const find = engine.bind(provider.DeviceCode);
  return async (...code) => {
    const context = Engine.ctx;
    if (context === undefined) return find(...code);
    const from = clientAddress(context);
    const counts = [
      { delay: session, subject: context.oidc.session?.uid ?? '' },
      { delay: address, subject: addressBlock(from) },
    ];
    for (const { delay, subject } of counts) {
      const seconds = (await delay.remaining(subject)) || (await delay.reserve(subject));
      if (seconds === 0) continue;
      announce({ type: 'device.guessing-delayed', address: from, seconds });
      throw new TooManyGuesses(seconds);
    }
    const found = await find(...code);
    if (found !== undefined) await Promise.all(counts.map(({ delay, subject }) => delay.giveBack(subject)));
    return found;
  };
}
