/** Returns the system time in milliseconds, for the age of fetched data. Token expiry uses the option `currentDate`. */
export function now(): number {
  // eslint-disable-next-line no-restricted-properties -- the kit stands alone, so this is its lib/clock.ts
  return Date.now();
}

/**
 * Returns the milliseconds since a time. For a future time it returns Infinity: the clock was set back, so the age is
 * unknown.
 */
export function age(since: number): number {
  const milliseconds = now() - since;
  return milliseconds < 0 ? Infinity : milliseconds;
}

export type Timer = ReturnType<typeof setTimeout>;

/** Lets the process exit before the timer fires, on runtimes that have processes. */
export function unref<Any extends Timer>(timer: Any): Any {
  // In browsers and edge runtimes, a timer is a number.
  if (typeof timer === 'object') (timer as { unref?: () => void }).unref?.();
  return timer;
}

/** Waits without keeping the process alive. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    unref(setTimeout(resolve, milliseconds));
  });
}
