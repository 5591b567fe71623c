import type { Account } from '../../accounts/account.ts';
import type { Consent } from '../../accounts/consents.ts';
import type { Config } from '../../config/schema.ts';
import type { Domain } from '../../domain/domain.ts';
import { appsWithAccess, liveSessions, type LiveSession } from '../../sessions/access.ts';
import { withAccount } from './context.ts';
import { table } from '../help-text.ts';
import { printJson, timeText } from '../keys/context.ts';
import type { StoreContext } from '../store-context.ts';

export function show(context: StoreContext, name: string): Promise<number> {
  const { given, terminal } = context;
  return withAccount(context, name, async (domain, account) => {
    const shown = await described(domain, account);
    if (given.options['json'] === true) printJson(terminal, shown);
    else terminal.print(accountText(shown));
    return 0;
  });
}

type Shown = Awaited<ReturnType<typeof described>>;

async function described(domain: Domain, account: Account) {
  const { createdAt, disabledAt, emailVerified, origin, madeFor: _issuers, ...rest } = account;
  const passwordAt = await domain.passwords.changedAt(account.id);
  const sessions = await liveSessions(domain.grants, account.id);
  return {
    ...rest,
    state: disabledAt === undefined ? 'active' : 'disabled',
    createdAt: timeText(createdAt),
    origin: origin ?? null,
    emailVerified: emailVerified === undefined ? null : { by: emailVerified.by, at: timeText(emailVerified.at) },
    disabledAt: disabledAt === undefined ? null : timeText(disabledAt),
    passwordSetAt: passwordAt === undefined ? null : timeText(passwordAt),
    opens: scopesOpenedBy(account.roles, domain.config),
    sessions: sessions.map(describedSession),
    apps: await appsWithAccess(domain, account.id),
  };
}

function describedSession({ uid, browser, clients, signedInAt, usedAt }: LiveSession) {
  return {
    session: uid,
    browser: browser ?? null,
    signedInAt: timeText(signedInAt),
    usedAt: usedAt === undefined ? null : timeText(usedAt),
    clients,
  };
}

/** Lists the restricted scopes that these roles open. */
function scopesOpenedBy(roles: readonly string[], { resources }: Config): string[] {
  const opened = resources.flatMap(({ scopes }) =>
    Object.entries(scopes).flatMap(([name, scope]) =>
      scope.roles?.some((role) => roles.includes(role)) ? [name] : [],
    ),
  );
  return [...new Set(opened)];
}

function accountText(shown: Shown): string {
  const facts = [
    ['email', shown.email],
    ['verified', shown.emailVerified === null ? 'no' : `${shown.emailVerified.at}, by the ${shown.emailVerified.by}`],
    ['name', shown.name],
    ['id', shown.id],
    ['state', shown.disabledAt === null ? shown.state : `disabled since ${shown.disabledAt}`],
    ['created', `${shown.createdAt}${shown.origin === null ? '' : `, by ${shown.origin}`}`],
    ['password', shown.passwordSetAt === null ? 'none' : `set ${shown.passwordSetAt}`],
    ['roles', shown.roles.join(', ') || 'none'],
    ['scopes by role', shown.opens.join(', ') || 'none'],
  ];
  const sessions = shown.sessions.map(({ session, browser, signedInAt, usedAt, clients }) => [
    ...[session, browser ?? '-', signedInAt, usedAt ?? '-', clients.join(',') || '-'],
  ]);
  const apps = shown.apps.map(({ client, allowed }) => [client, consentText(allowed)]);
  return [
    table(facts, ''),
    section(['session', 'browser', 'signed in', 'last used', 'apps'], sessions, 'no sessions'),
    section(['app', 'access'], apps, 'no app has access'),
  ].join('\n\n');
}

function section(head: string[], rows: string[][], none: string): string {
  return rows.length === 0 ? none : table([head, ...rows], '');
}

function consentText({ scopes, resources }: Consent): string {
  const apis = Object.entries(resources).map(([identifier, names]) => `${names.join(' ') || '-'} at ${identifier}`);
  return [...(scopes.length > 0 ? [scopes.join(' ')] : []), ...apis].join('; ') || '-';
}
