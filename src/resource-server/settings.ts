import { now } from './timers.ts';
import type { DpopOptions, StatusOptions, VerifierOptions } from './options.ts';

const DEFAULTS = {
  algorithms: ['ES256', 'RS256'] as readonly string[],
  types: ['at+jwt'] as readonly string[],
  clockTolerance: 5,
  maxAge: 300,
  cooldown: 30,
  timeout: 5,
  currentDate: (): Date => new Date(now()),
  acrValues: [] as readonly string[],
};
const DPOP_DEFAULTS = {
  required: false,
  algorithms: ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'] as readonly string[],
  window: 60,
  nonces: false,
};
const STATUS_DEFAULTS = {
  check: 'when-present' as NonNullable<StatusOptions['check']>,
  push: true,
  whenUnreachable: 'refuse' as NonNullable<StatusOptions['whenUnreachable']>,
};

type Settled<Options, Defaults> = Omit<Options, keyof Defaults> & Defaults;

/** The options of a verifier, with all defaults filled in. */
export interface Settings extends Settled<Omit<VerifierOptions, 'dpop' | 'status'>, typeof DEFAULTS> {
  dpop: Settled<DpopOptions, typeof DPOP_DEFAULTS>;
  status: Settled<StatusOptions, typeof STATUS_DEFAULTS>;
}

/** Checks the options, and fills in the defaults. @throws TypeError if an option is invalid */
export function settingsOf(options: VerifierOptions): Settings {
  const settings = {
    ...DEFAULTS,
    ...given(options),
    dpop: { ...DPOP_DEFAULTS, ...given(options.dpop ?? {}) },
    status: { ...STATUS_DEFAULTS, ...given(options.status ?? {}) },
  };
  check(settings);
  return settings;
}

/** Removes options that are undefined, so that their defaults apply. */
function given<Options extends object>(options: Options): Options {
  const copy = { ...options };
  for (const [name, value] of Object.entries(copy)) if (value === undefined) Reflect.deleteProperty(copy, name);
  return copy;
}

/** Supported signature algorithms. All are asymmetric, so that an API cannot sign the tokens that it verifies. */
export const ASYMMETRIC: readonly string[] = [
  ...['ES', 'RS', 'PS'].flatMap((family) => ['256', '384', '512'].map((size) => family + size)),
  ...['EdDSA', 'Ed25519', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'],
];

function check({ issuer, audience, algorithms, dpop, status, ...more }: Settings): void {
  new URL(issuer);
  if (audience === '') throw new TypeError('audience must not be empty');
  if (!/^[\x20-\x7E]*$/.test(audience)) throw new TypeError('audience cannot stand in a header');
  const refused = [...algorithms, ...dpop.algorithms].find((algorithm) => !ASYMMETRIC.includes(algorithm));
  if (refused !== undefined) throw new TypeError(`${refused} is not an asymmetric signature algorithm`);
  const { clockTolerance, maxAge, cooldown, timeout } = more;
  const seconds = { clockTolerance, maxAge, cooldown, timeout, window: dpop.window, acceptFor: acceptFor(status) };
  for (const [name, value] of Object.entries(seconds)) {
    if (!(value >= 0 && value < Infinity)) throw new TypeError(`${name} is a number of seconds`);
  }
  if (dpop.window < 1) throw new TypeError('window is at least a second');
  if (dpop.nonceSecret !== undefined && dpop.nonceSecret.length < 32) {
    throw new TypeError('nonceSecret is shorter than 32 bytes');
  }
}

/** Returns the seconds beyond a list's `ttl` for which its last copy is still used. */
export function acceptFor({ whenUnreachable }: Settings['status']): number {
  return whenUnreachable === 'refuse' ? 0 : whenUnreachable.acceptFor;
}
