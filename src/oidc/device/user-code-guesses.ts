import { errors, Provider as Engine, type Provider } from 'oidc-provider';
import { addressBlock } from '../../http/address-block.ts';
import { openRisingDelay, type DelayRule } from '../../credentials/rising-delay.ts';
import type { Announce } from '../../events/events.ts';
import { clientAddress } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Store } from '../../storage/store.ts';

const HOUR = 3600;

/**
 * Limits on guessed user codes. A right guess lets a stranger put their own account on somebody's device (RFC 8628
 * §5.1). There are 20^8 codes, each valid for minutes, and these limits allow about thirty guesses an hour from one
 * address block. A household shares an address and mistypes too, so that limit is milder than the one for a browser.
 */
const RULES = {
  session: { name: 'user-code-session', free: 5, longest: 600, memory: HOUR },
  address: { name: 'user-code-address', free: 20, longest: 600, memory: HOUR },
} as const satisfies Record<string, DelayRule>;

/** Error after too many unknown codes from one browser or address block. */
export class TooManyGuesses extends errors.OIDCProviderError {
  /** Seconds until the next attempt. */
  readonly seconds: number;
  constructor(seconds: number) {
    super(429, 'slow_down');
    this.seconds = seconds;
  }
}

/** Counts each typed code before the engine looks it up, and uncounts it if it exists. */
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
    if (found !== undefined) await Promise.all(counts.map(({ delay, subject }) => delay.refund(subject)));
    return found;
  };
}
