import type { Accounts } from '../accounts/accounts.ts';
import type { Clients } from '../clients/clients.ts';
import type { Clock } from '../lib/clock.ts';
import type { Delivery } from '../oidc/logout/back-channel-logout.ts';
import type { Key, Store } from '../storage/store.ts';
import type { Tokens } from './tokens.ts';

/** Dependencies of a revocation. They need only the stores, so that a command can revoke as a server does. */
export interface RevocationDependencies {
  grants: Store;
  accounts: Pick<Accounts, 'ids'>;
  clients: Pick<Clients, 'find'>;
  tokens: Tokens;
  clock: Clock;
  /** Seconds for which a not-before is stored. Everything that it invalidates expires earlier. */
  notBeforeLife: number;
}

/** Keys of the logout tokens that are now queued for apps. */
export type QueuedLogouts = Key<Delivery>[];

/** Maximum number of apps that are notified while the caller waits. The others are notified in the background. */
export const MAX_DELIVERED_AT_ONCE = 100;
