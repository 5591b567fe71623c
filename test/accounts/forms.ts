import type { AccountSealing } from '../../src/accounts/account-keys.ts';
import { derived } from '../../src/keys/ring.ts';

const ROOT = Buffer.alloc(32, 7).toString('base64url');

/** A store of these formats, whose key ring has this root. */
export function sealingOf(oldest: number, writes: number, reads: number, root = ROOT): AccountSealing {
  return {
    formats: () => Promise.resolve({ oldest, writes, reads }),
    keys: () => Promise.resolve({ derive: (label: string) => derived({ root }, label) }),
  };
}

/** The formats in which a store may hold accounts, before, during and after the upgrade that seals them. */
export const FORMS: Record<string, AccountSealing | undefined> = {
  'of format 1': undefined,
  'that other nodes may seal': sealingOf(1, 1, 2),
  'that an upgrade seals': sealingOf(1, 2, 2),
  'of format 2': sealingOf(2, 2, 2),
};
