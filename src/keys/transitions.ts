import type { SigningAlgorithm } from '../config/schema.ts';
import { newExternalKey, writeRing, type ExternalOptions } from './external-keys.ts';
import { SignerUnavailable } from './external-signing.ts';
import { newCookieKey, newKey, advance, dueFor, without, type FreshKey, type RotationRules } from './rotation.ts';
import type { RingRecords, StoredRing } from './ring-record.ts';
import type { RingContent } from './ring.ts';

export interface TransitionOptions extends RotationRules, ExternalOptions {}

/** Applies the changes that are due now. @returns the same object if nothing was due */
export async function nextTransition(content: RingContent, options: TransitionOptions): Promise<RingContent> {
  const due = dueFor(content, options.clock.now(), options);
  const keys = await newKeys(due.algorithms, content, options);
  // Reads the clock again, because an HSM may take seconds to make a key, which must not shorten its announcement.
  return advance(content, options.clock.now(), options, {
    keys,
    ...(due.cookieKey && { cookieKey: newCookieKey(options.random) }),
  });
}

/** Announces the next key of each algorithm now, except where one is announced already. */
export async function rotateNow(
  content: RingContent,
  algorithms: readonly SigningAlgorithm[],
  options: TransitionOptions,
): Promise<RingContent> {
  const asked = options.clock.now();
  const isAnnounced = (alg: SigningAlgorithm) => content.keys.some((key) => key.alg === alg && key.signsFrom > asked);
  const due = algorithms.filter((alg) => !isAnnounced(alg));
  const keys = await newKeys(due, content, options);
  const now = options.clock.now();
  return advance(content, now, options, { keys }, now);
}

/** Removes a key at once and makes its successor. The key is removed even if no successor can be made now. */
export async function revokeNow(content: RingContent, kid: string, options: TransitionOptions): Promise<RingContent> {
  const rest = without(kid, content, options.clock.now());
  try {
    return await nextTransition(rest, options);
  } catch (error) {
    if (!(error instanceof SignerUnavailable)) throw error;
    options.reportFailure?.(error);
    return rest;
  }
}

function newKeys(
  algorithms: readonly SigningAlgorithm[],
  content: RingContent,
  options: TransitionOptions,
): Promise<FreshKey[]> {
  const { external } = options;
  const make = (alg: SigningAlgorithm): Promise<FreshKey> =>
    external?.makesNewKeys === true ? newExternalKey(alg, content, external.signer, options) : newKey(alg);
  return Promise.all(algorithms.map(make));
}

/**
 * Changes the ring by compare-and-swap. `decide` runs again if another node wrote first.
 * @throws Error if there is no ring yet
 */
export async function changeRing(
  records: RingRecords,
  options: TransitionOptions,
  decide: (content: RingContent) => Promise<RingContent>,
): Promise<RingContent> {
  for (;;) {
    const stored = await storedRing(records);
    const content = await decide(stored.content);
    if (content === stored.content || (await writeRing(records, content, stored, options))) return content;
  }
}

/** @throws Error if there is no ring yet */
export async function storedRing(records: RingRecords): Promise<StoredRing> {
  const stored = await records.read();
  if (stored === undefined) throw new Error('there are no keys yet: start the server once to create them');
  return stored;
}
