import { keyspace, type Store } from '../storage/store.ts';

/** What a person has let a client do. Outlives the session in which it was said. */
export interface Consent {
  /** Scopes of this server itself: `openid`, `profile`, … */
  scopes: readonly string[];
  /** Claims that were asked for one by one (OpenID Connect Core §5.5). */
  claims?: readonly string[];
  /** Scopes per resource server, by its identifier (RFC 8707). */
  resources: Readonly<Record<string, readonly string[]>>;
}

export interface Consents {
  find(account: string, clientId: string): Promise<Consent | undefined>;
  remember(account: string, clientId: string, consent: Consent): Promise<void>;
}

const consentKey = keyspace<Consent>('consent');

export function openConsents(records: Store): Consents {
  const keyOf = (account: string, clientId: string): string => consentKey(`${account}:${clientId}`);
  return {
    async find(account, clientId) {
      return (await records.get<Consent>(keyOf(account, clientId)))?.value;
    },
    async remember(account, clientId, consent) {
      await records.set<Consent>(keyOf(account, clientId), consent);
    },
  };
}
