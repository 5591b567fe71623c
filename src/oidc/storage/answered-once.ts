import { errors, type AdapterPayload } from 'oidc-provider';
import type { Key, Store, WriteOptions } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';

/** Records of a request that waits for a person on another device. */
export function waitsForAnswer({ kind }: AdapterPayload): boolean {
  return kind === 'DeviceCode' || kind === 'BackchannelAuthenticationRequest';
}

/**
 * Writes an answer only once. The engine checks that the question is open, asks the person, and minutes later writes
 * the whole record. The first answer counts; if another one overwrote it, an answer could be fetched twice. @throws
 * InvalidRequest if it was answered already
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
