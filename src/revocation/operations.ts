import type { Accounts } from '../accounts/accounts.ts';
import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import type { Passwords } from '../credentials/passwords.ts';
import type { RevocationCause, Revoke } from '../events/revocations.ts';
import type { Issuers } from '../issuers/issuers.ts';
import type { AccountId } from '../lib/ids.ts';
import { forEachAtOnce } from '../storage/at-once.ts';

/**
 * Operations that end something, each with all that came of it; those that return something say whether it was there. The
 * revocation is durable before the change: a process that dies in between must not leave a new password beside old sessions.
 */
export type Endings = PersonEndings & OperatorEndings;

interface PersonEndings {
  disableAccount(account: AccountId): Promise<boolean>;
  removeAccount(account: AccountId): Promise<boolean>;
  /** A password or another factor changes, by `store`. */
  changeCredentials(
    account: AccountId,
    because: Extract<RevocationCause, 'password-changed' | 'factor-changed'>,
    change: CredentialsChange,
  ): Promise<void>;
  /** `remove` removes a role: access tokens that still say so are revoked, and apps get others. */
  removeRole(account: AccountId, remove: () => Promise<unknown>): Promise<void>;
  /** By its owner, from another place. @param session its uid */
  endSession(session: string): Promise<void>;
  withdrawConsent(account: string, client: string): Promise<boolean>;
}

interface OperatorEndings {
  /** One of the configuration too; `Clients.enable` lets it be used again, for new tokens. */
  disableClient(client: string): Promise<void>;
  /** From the store; one of the configuration goes on with all that was issued to it. */
  removeClient(client: string): Promise<boolean>;
  /** Its secret has leaked: once `roll` has given it another, what was issued to it before is worth nothing. */
  rollClientSecret(client: string, roll: () => Promise<unknown>): Promise<void>;
  /** From the store, as a client. */
  removeIssuer(issuer: string): Promise<boolean>;
  /** `drop` removes it from the ring. */
  revokeKey(kid: string, drop: () => Promise<unknown>): Promise<void>;
  /** Everything issued before an instant, in milliseconds since the epoch; until now without it. */
  endBefore(whose: { account: string } | { client: string } | 'everybody', before?: number): Promise<void>;
}

export interface CredentialsChange {
  /** Makes the change, in one write. */
  store: () => Promise<unknown>;
  /** The session in which its owner made it, which goes on. */
  exceptSession?: string;
}

interface PersonParts {
  revoke: Revoke;
  accounts: Pick<Accounts, 'find' | 'disable' | 'remove'>;
  passwords: Pick<Passwords, 'remove'>;
  consents: Pick<Consents, 'list' | 'withdraw'>;
}

interface OperatorParts {
  revoke: Revoke;
  clients: Pick<Clients, 'configured' | 'disable' | 'remove'>;
  issuers: Pick<Issuers, 'configured' | 'remove'>;
}

/** Each can be done again where it was broken off. */
export function openEndings(parts: PersonParts & OperatorParts): Endings {
  return { ...personEndings(parts), ...operatorEndings(parts) };
}

export function personEndings({ revoke, accounts, passwords, consents }: PersonParts): PersonEndings {
  return {
    async disableAccount(account) {
      if ((await accounts.find(account)) === undefined) return false;
      await revoke({ what: 'account', account }, 'account-disabled', () => accounts.disable(account));
      return true;
    },
    async removeAccount(account) {
      if ((await accounts.find(account)) === undefined) return false;
      await revoke({ what: 'account', account }, 'account-deleted', () => accounts.disable(account));
      await Promise.all([
        forEachAtOnce(consents.list(account), ({ client }) => consents.withdraw(account, client)),
        passwords.remove(account),
      ]);
      // The account is removed last: if it were gone, the rest could not be found again after a crash.
      return accounts.remove(account);
    },
    changeCredentials: (account, because, { store, exceptSession }) =>
      revoke({ what: 'account', account, ...(exceptSession !== undefined && { exceptSession }) }, because, store),
    removeRole: (account, remove) => revoke({ what: 'access', account }, 'role-removed', remove),
    endSession: (session) => revoke({ what: 'session', session }, 'session-ended'),
    async withdrawConsent(account, client) {
      let was = false;
      await revoke({ what: 'consent', account, client }, 'consent-withdrawn', async () => {
        was = await consents.withdraw(account, client);
      });
      return was;
    },
  };
}

export function operatorEndings({ revoke, clients, issuers }: OperatorParts): OperatorEndings {
  return {
    disableClient: (client) => revoke({ what: 'client', client }, 'client-disabled', () => clients.disable(client)),
    async removeClient(client) {
      const goesOn = clients.configured.some(({ client_id: id }) => id === client);
      if (goesOn) return clients.remove(client);
      let was = false;
      await revoke({ what: 'client', client }, 'client-deleted', async () => {
        was = await clients.remove(client);
      });
      return was;
    },
    rollClientSecret: (client, roll) => revoke({ what: 'client', client }, 'client-secret-rolled', roll),
    async removeIssuer(issuer) {
      const goesOn = issuers.configured.some((one) => one.issuer === issuer);
      if (goesOn) return issuers.remove(issuer);
      let was = false;
      await revoke({ what: 'trusted-issuer', issuer }, 'trusted-issuer-removed', async () => {
        was = await issuers.remove(issuer);
      });
      return was;
    },
    revokeKey: (kid, drop) => revoke({ what: 'key', kid }, 'key-revoked', drop),
    endBefore(whose, before) {
      const until = before === undefined ? {} : { before };
      if (whose === 'everybody') return revoke({ what: 'everything', ...until }, 'ended-by-operator');
      if ('account' in whose) return revoke({ what: 'account', ...whose, ...until }, 'ended-by-operator');
      return revoke({ what: 'client', ...whose, ...until }, 'ended-by-operator');
    },
  };
}
