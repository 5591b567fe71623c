import type { Accounts } from '../accounts/accounts.ts';
import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import type { Passwords } from '../credentials/passwords.ts';
import type { RevocationCause, Revoke } from '../events/revocations.ts';
import type { Issuers } from '../issuers/issuers.ts';
import type { AccountId } from '../lib/ids.ts';

/** What people and operators end, each with all that came of it; those that return something say whether it was there. */
export type Endings = PersonEndings & OperatorEndings;

interface PersonEndings {
  disableAccount(account: AccountId): Promise<boolean>;
  removeAccount(account: AccountId): Promise<boolean>;
  /** After a password or another factor was changed. @param exceptSession where its owner did it: that one goes on */
  credentialsChanged(
    account: AccountId,
    because: Extract<RevocationCause, 'password-changed' | 'factor-changed'>,
    exceptSession?: string,
  ): Promise<void>;
  /** After a role was taken away: access tokens that still say so are taken back, and apps get others. */
  roleRemoved(account: AccountId): Promise<void>;
  /** By its owner, from another place. @param session its uid */
  endSession(session: string): Promise<void>;
  withdrawConsent(account: string, client: string): Promise<boolean>;
}

interface OperatorEndings {
  /** One of the configuration too; `Clients.enable` lets it be used again, for new tokens. */
  disableClient(client: string): Promise<void>;
  /** From the store; one of the configuration goes on with all that was issued to it. */
  removeClient(client: string): Promise<boolean>;
  /** Its secret has leaked: what was issued to it until now is worth nothing. */
  rollClientSecret(client: string): Promise<void>;
  /** From the store, as a client. */
  removeIssuer(issuer: string): Promise<boolean>;
  /** Once the ring has dropped it. */
  keyRevoked(kid: string): Promise<void>;
  /** Everything issued before an instant, in milliseconds since the epoch; until now without it. */
  endBefore(whose: { account: string } | { client: string } | 'everybody', before?: number): Promise<void>;
}

interface PersonParts {
  revoke: Revoke;
  accounts: Pick<Accounts, 'disable' | 'remove'>;
  passwords: Pick<Passwords, 'remove'>;
  consents: Pick<Consents, 'list' | 'withdraw'>;
}

interface OperatorParts {
  revoke: Revoke;
  clients: Pick<Clients, 'configured' | 'disable' | 'remove'>;
  issuers: Pick<Issuers, 'configured' | 'remove'>;
}

/** The change comes first, so that nothing new comes of it meanwhile; each can be done again where it was broken off. */
export function openEndings(parts: PersonParts & OperatorParts): Endings {
  return { ...personEndings(parts), ...operatorEndings(parts) };
}

export function personEndings({ revoke, accounts, passwords, consents }: PersonParts): PersonEndings {
  return {
    async disableAccount(account) {
      if ((await accounts.disable(account)) === undefined) return false;
      await revoke({ what: 'account', account }, 'account-disabled');
      return true;
    },
    async removeAccount(account) {
      // What cannot be found any more cannot be removed again after a crash, so the account itself comes last.
      if ((await accounts.disable(account)) === undefined) return false;
      await revoke({ what: 'account', account }, 'account-deleted');
      for await (const { client } of consents.list(account)) await consents.withdraw(account, client);
      await passwords.remove(account);
      return accounts.remove(account);
    },
    credentialsChanged: (account, because, exceptSession) =>
      revoke({ what: 'account', account, ...(exceptSession !== undefined && { exceptSession }) }, because),
    roleRemoved: (account) => revoke({ what: 'access', account }, 'role-removed'),
    endSession: (session) => revoke({ what: 'session', session }, 'session-ended'),
    async withdrawConsent(account, client) {
      const was = await consents.withdraw(account, client);
      await revoke({ what: 'consent', account, client }, 'consent-withdrawn');
      return was;
    },
  };
}

export function operatorEndings({ revoke, clients, issuers }: OperatorParts): OperatorEndings {
  return {
    async disableClient(client) {
      await clients.disable(client);
      await revoke({ what: 'client', client }, 'client-disabled');
    },
    async removeClient(client) {
      const was = await clients.remove(client);
      const goesOn = clients.configured.some(({ client_id: id }) => id === client);
      if (!goesOn) await revoke({ what: 'client', client }, 'client-deleted');
      return was;
    },
    rollClientSecret: (client) => revoke({ what: 'client', client }, 'client-secret-rolled'),
    async removeIssuer(issuer) {
      const was = await issuers.remove(issuer);
      const goesOn = issuers.configured.some((one) => one.issuer === issuer);
      if (!goesOn) await revoke({ what: 'trusted-issuer', issuer }, 'trusted-issuer-removed');
      return was;
    },
    keyRevoked: (kid) => revoke({ what: 'key', kid }, 'key-revoked'),
    endBefore(whose, before) {
      const until = before === undefined ? {} : { before };
      if (whose === 'everybody') return revoke({ what: 'everything', ...until }, 'ended-by-operator');
      if ('account' in whose) return revoke({ what: 'account', ...whose, ...until }, 'ended-by-operator');
      return revoke({ what: 'client', ...whose, ...until }, 'ended-by-operator');
    },
  };
}
