import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

declare const kind: unique symbol;

/** A string whose type names the kind of thing that it identifies, so that the compiler keeps the kinds apart. */
type Id<Kind extends string> = string & { readonly [kind]: Kind };

export type AccountId = Id<'account'>;

/**
 * Makes an identifier from the prefix, the time in 9 base-36 digits and 16 random bytes. Identifiers with the same
 * prefix sort by creation time. They are names, not secrets.
 */
export function newId<Kind extends string>(prefix: string, clock: Clock, random: Random): Id<Kind> {
  const time = clock.now().toString(36).padStart(9, '0');
  return `${prefix}_${time}${random.bytes(16).toString('hex')}` as Id<Kind>;
}

/** Returns the time at which an identifier was made, in milliseconds since the epoch. */
export function timeOfId(id: string): number {
  const start = id.indexOf('_') + 1;
  return Number.parseInt(id.slice(start, start + 9), 36);
}
