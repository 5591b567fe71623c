import { base64url, compactVerify, importJWK } from 'jose';
import type { SigningAlgorithm } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { newId, timeOfId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { SignerUnavailable, type ExternalSigner } from './external-signing.ts';
import { keyOf, type FreshKey } from './rotation.ts';
import type { RingRecords, StoredRing } from './ring-record.ts';
import { derived, type RingContent, type RingKey } from './ring.ts';

/** The external signer that holds the private halves of keys that the ring only names. */
export interface External {
  signer: ExternalSigner;
  /** True if new keys are made in the signer; otherwise it only signs with existing ones. */
  makesNewKeys: boolean;
}

export interface ExternalOptions {
  external?: External | undefined;
  clock: Clock;
  random: Random;
  /** Reports a background failure that is retried later. */
  reportFailure?: ((error: unknown) => void) | undefined;
}

/**
 * Age after which an unmentioned private half counts as left behind by a crash or a failed destruction. Far longer than
 * both take, even with clock differences.
 */
const ORPHAN_AGE = 3_600_000;

/** Makes a key in the signer. Its name contains the time, so that a later clean-up can judge it. */
export async function newExternalKey(
  alg: SigningAlgorithm,
  ring: Pick<RingContent, 'root'>,
  signer: ExternalSigner,
  { clock, random }: ExternalOptions,
): Promise<FreshKey> {
  const external = newId('key', clock, random);
  const key = await keyOf(alg, await signer.generate(alg, external, ownerOf(ring)));
  await prove(key, external, signer);
  return { ...key, external };
}

/** Verifies a trial signature of a new key before the ring trusts it: from then on every token depends on this key. */
async function prove({ kid, alg, publicJwk }: FreshKey, name: string, signer: ExternalSigner): Promise<void> {
  const [head, body] = [{ alg }, {}].map((part) => base64url.encode(JSON.stringify(part)));
  const input = `${head ?? ''}.${body ?? ''}`;
  const signature = base64url.encode(await signer.sign(name, alg, Buffer.from(input)));
  try {
    await compactVerify(`${input}.${signature}`, await importJWK(publicJwk, alg));
  } catch (cause) {
    await signer.destroy(name);
    throw new SignerUnavailable(`the HSM makes wrong signatures with its new ${alg} key ${kid}`, { cause });
  }
}

/**
 * Writes a change of the ring. The loser's private halves are destroyed: unused new ones, or those of retired keys. If
 * the store does not answer, nobody knows yet which those are. @returns whether it was written
 */
export async function writeRing(
  records: RingRecords,
  content: RingContent,
  over: StoredRing | undefined,
  options: ExternalOptions,
): Promise<boolean> {
  const isWritten = await records.write(content, over?.version);
  const [kept, lost] = isWritten ? [content, over?.content] : [over?.content, content];
  const stay = new Set(namesIn(kept));
  await destroyAll(namesIn(lost).filter((name) => !stay.has(name)), options); // prettier-ignore
  return isWritten;
}

/**
 * Compares the ring with the signer, and destroys private halves that were left behind. @throws SignerUnavailable if
 * this server cannot sign with a key of the ring
 */
export async function checkExternalKeys(
  records: RingRecords,
  stored: StoredRing,
  options: ExternalOptions,
): Promise<void> {
  const { external, clock } = options;
  if (external === undefined) {
    requireNone(stored.content);
    return;
  }
  const present = await external.signer.names(ownerOf(stored.content));
  // A key that another node destroyed meanwhile is no longer in the ring.
  const latest = ((await records.read(stored)) ?? stored).content;
  const mentioned = new Set(namesIn(latest));
  const missing = stored.content.keys.find(
    ({ external: name }) => name !== undefined && mentioned.has(name) && !present.includes(name),
  );
  if (missing !== undefined) throw new SignerUnavailable(missingText(missing));
  const isOld = (name: string): boolean => timeOfId(name) < clock.now() - ORPHAN_AGE;
  await destroyAll(present.filter((name) => !mentioned.has(name) && isOld(name)), options); // prettier-ignore
}

function requireNone({ keys }: RingContent): void {
  const key = keys.find(({ external }) => external !== undefined);
  if (key === undefined) return;
  throw new SignerUnavailable(
    `The private half of ${key.alg} key ${key.kid} is in an HSM, but the configuration names none: set keys.pkcs11 ` +
      'until that key has retired.',
  );
}

function missingText({ alg, kid, external = '' }: RingKey): string {
  return (
    `The private half of ${alg} key ${kid} is not in the HSM, where it should be as ${external}: every node needs ` +
    `the same token. If it is lost for good, run "latchkey keys revoke -- ${kid}".`
  );
}

/** Several rings may share a token. This ring's keys carry a label that survives in a copy of the store. */
function ownerOf(ring: Pick<RingContent, 'root'>): string {
  return `latchkey ${derived(ring, 'owner of external keys').toString('base64url').slice(0, 16)}`;
}

function namesIn(content: RingContent | undefined): string[] {
  return (content?.keys ?? []).flatMap(({ external }) => external ?? []);
}

async function destroyAll(names: readonly string[], { external, reportFailure }: ExternalOptions): Promise<void> {
  for (const name of names) {
    try {
      if (external === undefined) throw new SignerUnavailable(`${name} stays in an HSM that is not configured here`);
      await external.signer.destroy(name);
    } catch (error) {
      reportFailure?.(error);
    }
  }
}
