import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../http/problems.ts';

/** Milliseconds between two looks at the store. */
const PAUSE = 100;
/** Longest wait of a request for another one, in milliseconds. */
export const PATIENCE = 15_000;

/**
 * Polls until another request, perhaps on another node, has changed the answer. @throws Problem `busy` if that takes
 * too long
 */
export async function untilDefined<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let waited = 0; waited < PATIENCE; waited += PAUSE) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(PAUSE);
  }
  throw new Problem('busy', 'another request for the same form does not come to its end', { 'Retry-After': '2' });
}
