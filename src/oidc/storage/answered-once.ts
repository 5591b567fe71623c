import { errors, type AdapterPayload } from 'oidc-provider';
import type { Key, Store, WriteOptions } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';

/** Records of a question that waits for a person elsewhere. */
export function waitsForAnswer({ kind }: AdapterPayload): boolean {
  return kind === 'DeviceCode' || kind === 'BackchannelAuthenticationRequest';
}

/**
 * The engine looks whether the question is open, asks the person, and minutes later writes the whole record. Of two
 * people who answer one question, the first counts; a written-over answer could be fetched a second time.
 * @throws InvalidRequest when it was answered already
 */
export async function answerOnce<T>(
  grants: Store,
  { key, value, options }: { key: Key<T>; value: T; options: WriteOptions },
  read: (stored: T) => AdapterPayload,
): Promise<void> {
  if (await grants.create(key, value, options)) return;
  const change = (now: T): T => {
    const { grantId, error } = read(now);
    if (grantId !== undefined || error !== undefined) throw new errors.InvalidRequest('it has been answered already');
    return value;
  };
  await update(grants, key, await grants.get(key), change, options);
}
