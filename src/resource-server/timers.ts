export type Timer = ReturnType<typeof setTimeout>;

/** Lets the process end before the timer does, where the runtime has processes. */
export function unref<Any extends Timer>(timer: Any): Any {
  // Browsers' timers, which edge runtimes have, are numbers.
  if (typeof timer === 'object') (timer as { unref?: () => void }).unref?.();
  return timer;
}

/** Waits, without keeping a process alive. @param milliseconds of real time */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    unref(setTimeout(resolve, milliseconds));
  });
}
