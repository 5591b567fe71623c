import type { SigningAlgorithm } from '../config/schema.ts';
import { newExternalKey, writeRing, type ExternalOptions } from './external-keys.ts';
import { SignerUnavailable } from './external-signer.ts';
import { newCookieKey, newKey } from './new-key.ts';
import type { RingRecords, StoredRing } from './ring-record.ts';
import type { RingContent } from './ring.ts';
import { advance, dueFor, without, type FreshKey, type RotationRules } from './rotation.ts';

export interface StepOptions extends RotationRules, ExternalOptions {}

/** The ring with what is due now. @returns the very same content when nothing is */
export async function nextStep(content: RingContent, options: StepOptions): Promise<RingContent> {
  const due = dueFor(content, options.clock.now(), options);
  const keys = await newKeys(due.algorithms, content, options);
  // Making a key may take seconds, in an HSM above all, by which it must not be announced for less.
  return advance(content, options.clock.now(), options, {
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
  const asked = options.clock.now();
  const isAnnounced = (alg: SigningAlgorithm) => content.keys.some((key) => key.alg === alg && key.signsFrom > asked);
  const due = algorithms.filter((alg) => !isAnnounced(alg));
  const keys = await newKeys(due, content, options);
  const now = options.clock.now();
  return advance(content, now, options, { keys }, now);
}

/** Takes a key out at once, and makes what is then missing. Where that cannot be made now, the key goes all the same. */
export async function revokeNow(content: RingContent, kid: string, options: StepOptions): Promise<RingContent> {
  const rest = without(kid, content, options.clock.now());
  try {
    return await nextStep(rest, options);
  } catch (error) {
    if (!(error instanceof SignerUnavailable)) throw error;
    options.reportFailure?.(error);
    return rest;
  }
}

function newKeys(
  algorithms: readonly SigningAlgorithm[],
  content: RingContent,
  options: StepOptions,
): Promise<FreshKey[]> {
  const { external } = options;
  const make = (alg: SigningAlgorithm): Promise<FreshKey> =>
    external?.makesNewKeys === true ? newExternalKey(alg, content, external.signer, options) : newKey(alg);
  return Promise.all(algorithms.map(make));
}

/**
 * Changes the ring by one decision, which is made anew where a node was first.
 * @throws Error when there is no ring yet
 */
export async function changeRing(
  records: RingRecords,
  options: StepOptions,
  decide: (content: RingContent) => Promise<RingContent>,
): Promise<RingContent> {
  for (;;) {
    const stored = await storedRing(records);
    const content = await decide(stored.content);
    if (content === stored.content || (await writeRing(records, content, stored, options))) return content;
  }
}

/** @throws Error when there is no ring yet */
export async function storedRing(records: RingRecords): Promise<StoredRing> {
  const stored = await records.read();
  if (stored === undefined) throw new Error('there are no keys yet: the first start of the server makes them');
  return stored;
}
