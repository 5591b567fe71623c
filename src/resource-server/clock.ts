/** The machine's time in milliseconds: for how old what was fetched is. Tokens expire by the option `currentDate`. */
export function now(): number {
  // eslint-disable-next-line no-restricted-properties -- the kit stands alone, so this is its lib/clock.ts
  return Date.now();
}

/** Milliseconds since then. A moment that lies ahead, since the clock was set back, is of unknown age: infinitely old. */
export function age(since: number): number {
  const milliseconds = now() - since;
  return milliseconds < 0 ? Infinity : milliseconds;
}
