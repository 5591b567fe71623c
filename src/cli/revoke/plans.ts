import { sessionCounts, sessionKey } from '../../sessions/session-records.ts';
import { findAccount } from '../accounts/context.ts';
import { timeText } from '../keys/context.ts';
import { type Asked, type Plan, tokenPlan } from './token.ts';
import { endingEffects } from '../store-context.ts';

/** The plan for each option. @returns a text if the target does not exist */
export const PLANS: Record<string, (asked: Asked, name: string) => Promise<Plan | string>> = {
  account: planAccount,
  client: planClient,
  issuer: planIssuer,
  session: planSession,
  token: tokenPlan,
  everything: planEverything,
};

const SIGN_IN_AGAIN = 'whoever is meant signs in again, and apps ask again for what they need';

async function planAccount({ domain, before }: Asked, name: string): Promise<Plan | string> {
  const account = await findAccount(domain.accounts, name);
  if (account === undefined) return `there is no account ${JSON.stringify(name)}; "latchkey accounts list" shows all`;
  const everything = await endingEffects(domain, account);
  return {
    target: { what: 'account', account: account.id, ...until(before) },
    what: `what ${account.email} has${since(before)}`,
    lines: [before === undefined ? everything : `of ${everything}`, SIGN_IN_AGAIN],
  };
}

/** The client may already be removed; its tokens can still be revoked. */
async function planClient({ domain, before }: Asked, client: string): Promise<Plan> {
  const isThere = (await domain.clients.find(client)) !== undefined;
  const name = JSON.stringify(client);
  return {
    target: { what: 'client', client, ...until(before) },
    what: `what client ${name} has of everybody${since(before)}`,
    lines: [...(isThere ? [] : [`there is no client ${name} now`]), 'people stay signed in', SIGN_IN_AGAIN],
  };
}

/** The issuer may already be removed, like a client. */
async function planIssuer({ domain }: Asked, issuer: string): Promise<Plan> {
  const isTrusted = (await domain.issuers.find(issuer)) !== undefined;
  const line = isTrusted
    ? 'it is trusted still: clients get new tokens for its tokens'
    : `there is no trusted issuer ${JSON.stringify(issuer)} now`;
  return {
    target: { what: 'trusted-issuer', issuer },
    what: `what was issued for tokens of ${issuer}`,
    lines: [line],
  };
}

async function planSession({ domain: { accounts, grants } }: Asked, session: string): Promise<Plan | string> {
  const stored = await grants.get(sessionKey(session));
  const { accountId, browser = 'a browser', loginTs = 0, authorizations = {} } = stored?.value ?? {};
  if (stored === undefined || accountId === undefined || !(await sessionCounts(grants, stored.value)))
    return `there is no session ${JSON.stringify(session)}; "latchkey accounts show ACCOUNT" shows those of an account`;
  const account = await accounts.find(accountId);
  const apps = Object.keys(authorizations).join(', ') || 'no app';
  return {
    target: { what: 'session', session },
    what: `the session of ${account?.email ?? accountId} in ${browser}, signed in ${timeText(loginTs * 1000)}`,
    lines: [`it was used for ${apps}`, 'an app that keeps access while the person is away keeps it'],
  };
}

function planEverything({ before }: Asked): Promise<Plan> {
  return Promise.resolve({
    target: { what: 'everything', ...until(before) },
    what: `everything that was issued${since(before)}, to everybody`,
    lines: ['every person signs in again, and every app and machine asks for new tokens'],
  });
}

function until(before: number | undefined): { before?: number } {
  return before === undefined ? {} : { before };
}

function since(before: number | undefined): string {
  return before === undefined ? '' : ` from before ${timeText(before)}`;
}
