import { base64url, compactVerify, importJWK } from 'jose';
import type { SigningAlgorithm } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { newId, timeOfId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { SignerUnavailable, type ExternalSigner } from './external-signing.ts';
import { keyOf, type FreshKey } from './rotation.ts';
import type { RingRecords, StoredRing } from './ring-record.ts';
import { derived, type RingContent, type RingKey } from './ring.ts';

/** The external signer that holds private keys, which the ring only names. */
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
 * Age in milliseconds at which a private key that the ring does not name counts as left behind by a crash or a failed
 * destruction. Making or destroying a key takes far less time, even if clocks differ.
 */
const ORPHAN_AGE = 3_600_000;

/** Makes a key in the signer. Its name contains the time, so that a later clean-up can tell its age. */
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

/** Verifies a trial signature of a new key before the ring uses it, because every later token depends on this key. */
async function prove({ kid, alg, publicJwk }: FreshKey, name: string, signer: ExternalSigner): Promise<void> {
  const [head, body] = [{ alg }, {}].map((part) => base64url.encode(JSON.stringify(part)));
  const input = `${head ?? ''}.${body ?? ''}`;
  const signature = base64url.encode(await signer.sign(name, alg, Buffer.from(input)));
  try {
    await compactVerify(`${input}.${signature}`, await importJWK(publicJwk, alg));
  } catch (cause) {
    await signer.destroy(name);
    throw new SignerUnavailable(`the HSM makes invalid signatures with its new ${alg} key ${kid}`, { cause });
  }
}

/**
 * Writes a change of the ring. After the write, the private keys of the removed entries are destroyed. If another
 * node wrote first, the new private keys are destroyed instead. If the store does not answer, none are destroyed,
 * because the outcome is unknown.
 * @returns whether the change was written
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
 * Compares the ring with the signer, and destroys private keys that were left behind.
 * @throws SignerUnavailable if this server cannot sign with a key of the ring
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
  // Reads the ring again, because another node may have destroyed a key meanwhile and removed it from the ring.
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
    `The private key of ${key.alg} key ${key.kid} is in an HSM, but the configuration names no HSM: set keys.pkcs11 ` +
      'until that key has been retired.',
  );
}

function missingText({ alg, kid, external = '' }: RingKey): string {
  return (
    `The private key of ${alg} key ${kid} is not in the HSM under its name ${external}: every node needs ` +
    `the same token. If the private key is lost for good, run "latchkey keys revoke -- ${kid}".`
  );
}

/**
 * Returns the label of this ring's keys, because several rings may share a token. A copy of the store has the same
 * label.
 */
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
