import type { TrustedIssuer } from '../config/schema.ts';
import { sha256 } from '../lib/hash.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store } from '../storage/store.ts';

export interface Issuers {
  /** Issuers from the configuration file, which are known without the store. */
  readonly configured: readonly TrustedIssuer[];
  /** Finds an issuer by a token's `iss`, compared character by character. */
  find(issuer: string): Promise<TrustedIssuer | undefined>;
  /** Issuers in the store. */
  stored(): AsyncIterable<TrustedIssuer>;
  /**
   * Stores an issuer, and replaces any stored one with the same identifier.
   * @returns false if the configuration file defines it
   */
  save(issuer: TrustedIssuer): Promise<boolean>;
  /** @returns whether the store had it */
  remove(issuer: string): Promise<boolean>;
}

const issuerKey = keyspace<TrustedIssuer>('trusted-issuer');
const everyIssuer: Index<TrustedIssuer> = 'trusted-issuers';

/**
 * Opens the registry of trusted issuers. Issuers from the configuration file take precedence. The others are read from
 * the store each time.
 */
export function openIssuers({
  records,
  configured,
}: {
  records: Store;
  configured: readonly TrustedIssuer[];
}): Issuers {
  const configuredByUrl = new Map(configured.map((issuer) => [issuer.issuer, issuer]));
  const keyOf = (issuer: string): Key<TrustedIssuer> => issuerKey(sha256(issuer));
  return {
    configured,
    async find(issuer) {
      return configuredByUrl.get(issuer) ?? (await records.get(keyOf(issuer)))?.value;
    },
    async *stored() {
      for await (const { value } of everyRecord(records, everyIssuer)) yield value;
    },
    async save(issuer) {
      if (configuredByUrl.has(issuer.issuer)) return false;
      await records.set(keyOf(issuer.issuer), issuer, { indexes: [everyIssuer] });
      return true;
    },
    remove: (issuer) => records.delete(keyOf(issuer)),
  };
}
