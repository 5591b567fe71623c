import { errors, Provider as Engine, type Provider } from 'oidc-provider';
import { addressBlock } from '../../http/address-block.ts';
import { openRisingDelay, type DelayRule } from '../../credentials/rising-delay.ts';
import type { Announce } from '../../events/events.ts';
import { clientAddress } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Store } from '../../storage/store.ts';

const HOUR = 3600;

/**
 * Limits on guessed codes. A guess lets a stranger put their account on somebody's device (RFC 8628 §5.1). There are
 * 20^8 codes, each valid for minutes, and these limits allow about thirty guesses an hour from one place. A household
 * mistypes from one address, so its limit is milder.
 */
const RULES = {
  session: { name: 'user-code-session', free: 5, longest: 600, memory: HOUR },
  address: { name: 'user-code-address', free: 20, longest: 600, memory: HOUR },
} as const satisfies Record<string, DelayRule>;

/** Too many unknown codes came from one browser or address. */
export class TooManyGuesses extends errors.OIDCProviderError {
  /** Seconds until the next attempt. */
  readonly seconds: number;
  constructor(seconds: number) {
    super(429, 'slow_down');
    this.seconds = seconds;
  }
}

/** Counts typed codes before they are looked up, and uncounts the right ones. */
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
