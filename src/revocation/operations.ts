import type { Accounts } from '../accounts/accounts.ts';
import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import type { Passwords } from '../credentials/passwords.ts';
import type { RevocationCause, RevocationTarget, Revoke } from '../events/events.ts';
import type { Issuers } from '../issuers/issuers.ts';
import type { AccountId } from '../lib/ids.ts';
import { forEachConcurrently } from '../storage/every-member.ts';

/**
 * Operations that end something together with everything that was issued for it. A boolean result tells whether it
 * existed. Each stores its revocation before it makes its change, so that a crash in between cannot leave a new
 * password beside old sessions.
 */
export type Operations = PersonOperations & OperatorOperations;

interface PersonOperations {
  disableAccount(account: AccountId): Promise<boolean>;
  removeAccount(account: AccountId): Promise<boolean>;
  /** Changes a password or another factor, and ends the account's other sessions and its tokens. */
  changeCredentials(
    account: AccountId,
    because: Extract<RevocationCause, 'password-changed' | 'factor-changed'>,
    change: CredentialsChange,
  ): Promise<void>;
  /** Calls `remove` to remove a role, and revokes the access tokens that still contain it. Apps get new ones. */
  removeRole(account: AccountId, remove: () => Promise<unknown>): Promise<void>;
  /** Ends one of a person's sessions from another browser. @param session the session's `uid` */
  endSession(session: string): Promise<void>;
  withdrawConsent(account: string, client: string): Promise<boolean>;
}

interface OperatorOperations {
  /** Disables a stored or configured client. After `Clients.enable` it can get new tokens. */
  disableClient(client: string): Promise<void>;
  /** Removes a client from the store. A configured client keeps everything that was issued to it. */
  removeClient(client: string): Promise<boolean>;
  /** Calls `roll` to replace a leaked client secret, and revokes everything that was issued to the client before. */
  rollClientSecret(client: string, roll: () => Promise<unknown>): Promise<void>;
  /**
   * Removes a trusted issuer from the store. The tokens for its assertions stay valid if the configuration names it
   * too.
   */
  removeIssuer(issuer: string): Promise<boolean>;
  /** Revokes a signing key. Calls `drop` to remove it from the ring. */
  revokeKey(kid: string, drop: () => Promise<unknown>): Promise<void>;
  /** Revokes everything issued before an instant in milliseconds since the epoch, by default now. */
  endBefore(whose: { account: string } | { client: string } | 'everybody', before?: number): Promise<void>;
}

interface CredentialsChange {
  /** Stores the new password or factor in one write. */
  store: () => Promise<unknown>;
  /** The session in which the owner made the change. It does not end. */
  exceptSession?: string;
}

interface OperationsOptions {
  revoke: Revoke;
  accounts: Pick<Accounts, 'exists' | 'disable' | 'erase' | 'remove'>;
  passwords: Pick<Passwords, 'remove'>;
  consents: Pick<Consents, 'list' | 'withdraw'>;
  clients: Pick<Clients, 'configured' | 'disable' | 'remove'>;
  issuers: Pick<Issuers, 'configured' | 'remove'>;
}

/** Creates the operations. Each can be repeated after an interruption. */
export function openOperations(options: OperationsOptions): Operations {
  return { ...personOperations(options), ...operatorOperations(options) };
}

function personOperations({ revoke, accounts, passwords, consents }: OperationsOptions): PersonOperations {
  return {
    async disableAccount(account) {
      if (!(await accounts.exists(account))) return false;
      await revoke({ what: 'account', account }, 'account-disabled', () => accounts.disable(account));
      return true;
    },
    async removeAccount(account) {
      if (!(await accounts.exists(account))) return false;
      await revoke({ what: 'account', account }, 'account-deleted', () => accounts.erase(account));
      await Promise.all([
        forEachConcurrently(consents.list(account), ({ client }) => consents.withdraw(account, client)),
        passwords.remove(account),
      ]);
      // The account is removed last, because a repeated call after a crash needs it to find the rest.
      return accounts.remove(account);
    },
    changeCredentials: (account, because, { store, exceptSession }) =>
      revoke({ what: 'account', account, ...(exceptSession !== undefined && { exceptSession }) }, because, store),
    removeRole: (account, remove) => revoke({ what: 'access', account }, 'role-removed', remove),
    endSession: (session) => revoke({ what: 'session', session }, 'session-ended'),
    withdrawConsent: (account, client) =>
      revokeAndRemove(revoke, { what: 'consent', account, client }, 'consent-withdrawn', () =>
        consents.withdraw(account, client),
      ),
  };
}

function operatorOperations({ revoke, clients, issuers }: OperationsOptions): OperatorOperations {
  return {
    disableClient: (client) => revoke({ what: 'client', client }, 'client-disabled', () => clients.disable(client)),
    async removeClient(client) {
      const goesOn = clients.configured.some(({ client_id: id }) => id === client);
      const remove = (): Promise<boolean> => clients.remove(client);
      return goesOn ? remove() : revokeAndRemove(revoke, { what: 'client', client }, 'client-deleted', remove);
    },
    rollClientSecret: (client, roll) => revoke({ what: 'client', client }, 'client-secret-rolled', roll),
    async removeIssuer(issuer) {
      const goesOn = issuers.configured.some((one) => one.issuer === issuer);
      const remove = (): Promise<boolean> => issuers.remove(issuer);
      if (goesOn) return remove();
      return revokeAndRemove(revoke, { what: 'trusted-issuer', issuer }, 'trusted-issuer-removed', remove);
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

/** Revokes, and removes the record as the change of that revocation. @returns whether there was a record */
async function revokeAndRemove(
  revoke: Revoke,
  target: RevocationTarget,
  cause: RevocationCause,
  remove: () => Promise<boolean>,
): Promise<boolean> {
  let was = false;
  await revoke(target, cause, async () => {
    was = await remove();
  });
  return was;
}
