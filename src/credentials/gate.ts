/** More work was asked for than may wait. The host turns it into 503 with `Retry-After`. */
export class TooBusy extends Error {
  override name = 'TooBusy';
  /** In seconds. */
  readonly retryAfter = 2;
}

/** Lets a bounded number of tasks run at once and a bounded number wait, in order. */
export interface Gate {
  /** @throws TooBusy when the queue is full, before the task has started */
  run<T>(task: () => Promise<T>): Promise<T>;
}

export function openGate(limits: { atOnce: number; waiting: number }): Gate {
  const queue: (() => void)[] = [];
  let running = 0;

  async function enter(): Promise<void> {
    if (running < limits.atOnce) {
      running += 1;
      return;
    }
    if (queue.length >= limits.waiting) throw new TooBusy('the queue for password hashing is full');
    await new Promise<void>((resolve) => queue.push(resolve));
  }

  // A place is handed straight to the next in line, so that no newcomer can slip in between.
  function leave(): void {
    const next = queue.shift();
    if (next === undefined) running -= 1;
    else next();
  }

  return {
    async run(task) {
      await enter();
      try {
        return await task();
      } finally {
        leave();
      }
    },
  };
}
