import type { Logger } from 'pino';
import { openAccounts } from '../accounts/accounts.ts';
import { openConsents } from '../accounts/consents.ts';
import { CLIENT_SECRETS, openClients } from '../clients/clients.ts';
import { openInvitations } from '../clients/invitations.ts';
import { openClientSecrets } from '../clients/client-secrets.ts';
import type { Config } from '../config/schema.ts';
import { openBreachedPasswords } from '../credentials/breached-passwords.ts';
import { passwordsFor, type Passwords } from '../credentials/passwords.ts';
import type { Announce } from '../events/events.ts';
import { openIssuers } from '../issuers/issuers.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Random } from '../lib/random.ts';
import { grantLife } from '../oidc/lifetimes.ts';
import type { BackChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import { openOperations } from '../revocation/operations.ts';
import { Revocations, type RevocationsOptions } from '../revocation/revocations.ts';
import { openTokens } from '../revocation/tokens.ts';
import { openAccountChanges } from '../signals/account-changes.ts';
import { openSignals } from '../signals/signals.ts';
import type { Learn } from '../status/revoker.ts';
import type { Stores } from '../storage/open-stores.ts';

export interface DomainOptions {
  config: Config;
  /** Open stores, which the caller closes. */
  stores: Stores;
  random: Random;
  /** Reads the current keys. A command calls this function only if it needs a key. */
  keys: () => Promise<RingSnapshot>;
  /** Absent in a command. A server on the same stores announces what the command revokes. */
  server?: ServerContext | undefined;
}

/** Services of a running server that the domain notifies. */
export interface ServerContext {
  announce: Announce;
  log: Pick<Logger, 'warn'>;
  logouts: Pick<BackChannelLogout, 'deliver'>;
  /** Adds revocations to this node's status lists at once. */
  learn: Learn;
}

/** The records and rules on a pair of stores. The server, every command and the tests open them only here. */
export type Domain = ReturnType<typeof openDomain>;

/** Opens everything that needs only the stores. Reads and writes nothing yet. */
export function openDomain({ config, stores, random, keys, server }: DomainOptions) {
  const { records, grants, clock, format } = stores;
  const announce = server?.announce ?? (() => undefined);
  const accounts = openAccounts({ records, clock, random, sealing: { formats: () => format.current(), keys } });
  const passwords = openPasswords({ config, stores, random, log: server?.log });
  const consents = openConsents(records);
  const sealingKey = async () => (await keys()).derive(CLIENT_SECRETS).toString('base64url');
  const clients = openClients({ records, configured: config.clients, random, sealingKey });
  const clientSecrets = openClientSecrets({ records, configured: config.clients, random, sealingKey });
  const invitations = openInvitations({ records, clock, random });
  const issuers = openIssuers({ records, configured: config.trusted_issuers });
  const signals = openSignals({ config, records, grants, clients, consents, announce, clock, random });
  const accountChanges = openAccountChanges({ accounts, signals, clock, random });
  const revocations = openRevocations({ config, grants, accounts, clients, clock, random, server });
  const { revoke } = revocations;
  const operations = openOperations({ revoke, accounts, passwords, consents, clients, issuers });
  return {
    config,
    records,
    grants,
    clock,
    format,
    random,
    keys,
    accounts,
    accountChanges,
    passwords,
    consents,
    clients,
    clientSecrets,
    invitations,
    issuers,
    signals,
    revocations,
    revoke,
    operations,
  };
}

function openRevocations({
  config,
  grants,
  accounts,
  clients,
  clock,
  random,
  server,
}: Pick<RevocationsOptions, 'grants' | 'accounts' | 'clients' | 'clock' | 'random'> &
  Pick<DomainOptions, 'config' | 'server'>): Revocations {
  return new Revocations({
    grants,
    accounts,
    clients,
    clock,
    random,
    tokens: openTokens({ grants, clock, issuer: config.issuer, learn: server?.learn }),
    notBeforeLife: grantLife(config.tokens),
    server: server && {
      announce: server.announce,
      logouts: server.logouts,
      reportFailure: warningOf(server.log, 'a revocation could not be completed; it is retried'),
    },
  });
}

function openPasswords({
  config,
  stores: { records, clock },
  random,
  log,
}: Pick<DomainOptions, 'config' | 'stores' | 'random'> & { log: ServerContext['log'] | undefined }): Passwords {
  const { allow, ca } = config.outgoing;
  const isBreached = openBreachedPasswords(config.passwords.breached ?? {}, {
    allow,
    ca,
    reportFailure: warningOf(
      log,
      'breached passwords cannot be looked up; new passwords are accepted without this check',
    ),
  });
  const reportPublished = (account: string): void => {
    const reason = 'the account has the password of the demo, which everybody knows';
    log?.warn({ account }, `a sign-in was refused: ${reason}; set another: latchkey accounts password ACCOUNT`);
  };
  return passwordsFor(config, { records, clock, random, isBreached, reportPublished });
}

/**
 * @returns a function that logs a failure of background work. In a command, which reports its own failures, it does
 * nothing.
 */
export function warningOf(log: ServerContext['log'] | undefined, message: string): (error: unknown) => void {
  return (err) => log?.warn({ err }, message);
}
