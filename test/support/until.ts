import { setTimeout as sleep } from 'node:timers/promises';

/** Looks again and again until something holds. @throws Error when it does not within so many milliseconds */
export async function until(holds: () => Promise<boolean> | boolean, patience = 45_000): Promise<void> {
  const end = performance.now() + patience;
  // eslint-disable-next-line no-restricted-syntax -- the loop that the others are to use
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it does not hold after ${patience} ms`);
    await sleep(20);
  }
}
