import type { SigningAlgorithm } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { newCookieKey, newKey } from './new-key.ts';
import type { RingRecords, StoredRing } from './ring-record.ts';
import type { RingContent } from './ring.ts';
import { advance, dueFor, without, type RotationRules } from './rotation.ts';

export interface StepOptions extends RotationRules {
  clock: Clock;
  random: Random;
}

/** The ring with what is due now. @returns the very same content when nothing is */
export async function nextStep(content: RingContent, options: StepOptions): Promise<RingContent> {
  const now = options.clock.now();
  const due = dueFor(content, now, options);
  const keys = await Promise.all(due.algorithms.map(newKey));
  return advance(content, now, options, {
    keys,
    ...(due.cookieKey && { cookieKey: newCookieKey(options.random) }),
  });
}

/** Announces the next key of each algorithm now; one that has an announced key already keeps it. */
export async function rotateNow(
  content: RingContent,
  algorithms: readonly SigningAlgorithm[],
  options: StepOptions,
): Promise<RingContent> {
  const now = options.clock.now();
  const isAnnounced = (alg: SigningAlgorithm) => content.keys.some((key) => key.alg === alg && key.signsFrom > now);
  const keys = await Promise.all(algorithms.filter((alg) => !isAnnounced(alg)).map(newKey));
  return advance(content, now, options, { keys }, now);
}

/** Takes a key out at once, and makes what is then missing. */
export function revokeNow(content: RingContent, kid: string, options: StepOptions): Promise<RingContent> {
  return nextStep(without(kid, content, options.clock.now()), options);
}

/**
 * Changes the ring by one decision, which is made anew where a node was first.
 * @throws Error when there is no ring yet
 */
export async function changeRing(
  records: RingRecords,
  decide: (content: RingContent) => Promise<RingContent>,
): Promise<RingContent> {
  for (;;) {
    const stored = await storedRing(records);
    const content = await decide(stored.content);
    if (content === stored.content || (await records.write(content, stored.version))) return content;
  }
}

/** @throws Error when there is no ring yet */
export async function storedRing(records: RingRecords): Promise<StoredRing> {
  const stored = await records.read();
  if (stored === undefined) throw new Error('there are no keys yet: the first start of the server makes them');
  return stored;
}
