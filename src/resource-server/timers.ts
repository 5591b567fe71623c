/** The machine's time in milliseconds, for the age of fetched data. Token expiry uses the option `currentDate`. */
export function now(): number {
  // eslint-disable-next-line no-restricted-properties -- the kit stands alone, so this is its lib/clock.ts
  return Date.now();
}

/** Milliseconds since a moment; infinite for a future moment, whose age is unknown because the clock was set back. */
export function age(since: number): number {
  const milliseconds = now() - since;
  return milliseconds < 0 ? Infinity : milliseconds;
}

export type Timer = ReturnType<typeof setTimeout>;

/** Lets the process end before the timer does, if the runtime has processes. */
export function unref<Any extends Timer>(timer: Any): Any {
  // Timers of browsers and edge runtimes are numbers.
  if (typeof timer === 'object') (timer as { unref?: () => void }).unref?.();
  return timer;
}

/** Waits, without keeping a process alive. @param milliseconds of real time */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    unref(setTimeout(resolve, milliseconds));
  });
}
