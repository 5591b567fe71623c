import type { Accounts } from '../accounts/accounts.ts';
import type { Clients } from '../clients/clients.ts';
import type { Clock } from '../lib/clock.ts';
import type { Delivery } from '../oidc/logout/back-channel-logout.ts';
import type { Key, Store } from '../storage/store.ts';
import type { Tokens } from './tokens.ts';

/** Dependencies for ending things: only stores, so that a command does it as a server does. */
export interface RevocationDependencies {
  grants: Store;
  accounts: Pick<Accounts, 'list'>;
  clients: Pick<Clients, 'find'>;
  tokens: Tokens;
  clock: Clock;
  /** Life of a not-before instant in seconds: longer than anything that it invalidates. */
  notBeforeLife: number;
}

/** Logout tokens that are now queued for apps. */
export type Told = Key<Delivery>[];

/** Apps that are notified while the caller waits. The others are notified in the background. */
export const TOLD_AT_ONCE = 100;
