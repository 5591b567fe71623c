import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../http/problems.ts';

/** Milliseconds between two looks at the store. */
const PAUSE = 100;
/** Milliseconds that a request waits for another one, at most. */
export const PATIENCE = 15_000;

/**
 * Asks again and again, since another request, maybe on another node, is about to change the answer.
 * @throws Problem `busy` when it takes too long
 */
export async function untilDefined<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let waited = 0; waited < PATIENCE; waited += PAUSE) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(PAUSE);
  }
  throw new Problem('busy', 'another request for the same form does not come to its end', { 'Retry-After': '2' });
}
