import { configOption, textOf, UsageError, type Arguments, type Command, confirmed } from '../command.ts';
import { storeContext, withDomain, revocationDelayText, endingEffects } from '../store-context.ts';
import { bullets } from '../help-text.ts';
import { systemClock, parseDuration } from '../../lib/clock.ts';
import { sessionCounts, sessionKey } from '../../sessions/session-records.ts';
import { findAccount } from '../accounts/context.ts';
import { timeText } from '../keys/context.ts';
import { type RevokeRequest, type Plan, tokenPlan } from './token.ts';

/** The function that plans the revocation for each option. It returns a message if the target does not exist. */
const PLANS: Record<string, (asked: RevokeRequest, name: string) => Promise<Plan | string>> = {
  account: planAccount,
  client: planClient,
  issuer: planIssuer,
  session: planSession,
  token: tokenPlan,
  everything: planEverything,
};

const SIGN_IN_AGAIN = 'the people affected must sign in again, and apps must ask for access again';

async function planAccount({ domain, before }: RevokeRequest, name: string): Promise<Plan | string> {
  const account = await findAccount(domain.accounts, name);
  if (account === undefined) return `there is no account ${JSON.stringify(name)}; "latchkey accounts list" shows all`;
  const everything = await endingEffects(domain, account);
  return {
    target: { what: 'account', account: account.id, ...until(before) },
    what: `everything issued to ${account.email}${since(before)}`,
    lines: [before === undefined ? everything : `up to ${everything}`, SIGN_IN_AGAIN],
  };
}

/** Plans the revocation for a client. The client may already be removed; its tokens can still be revoked. */
async function planClient({ domain, before }: RevokeRequest, client: string): Promise<Plan> {
  const exists = (await domain.clients.find(client)) !== undefined;
  const name = JSON.stringify(client);
  return {
    target: { what: 'client', client, ...until(before) },
    what: `everything issued to client ${name}, for all accounts${since(before)}`,
    lines: [...(exists ? [] : [`there is currently no client ${name}`]), 'people stay signed in', SIGN_IN_AGAIN],
  };
}

/** Plans the revocation for a trusted issuer, which may already be removed. */
async function planIssuer({ domain }: RevokeRequest, issuer: string): Promise<Plan> {
  const isTrusted = (await domain.issuers.find(issuer)) !== undefined;
  const line = isTrusted
    ? 'the issuer is still trusted: clients can get new tokens for its tokens'
    : `there is currently no trusted issuer ${JSON.stringify(issuer)}`;
  return {
    target: { what: 'trusted-issuer', issuer },
    what: `everything issued for tokens of ${issuer}`,
    lines: [line],
  };
}

async function planSession({ domain: { accounts, grants } }: RevokeRequest, session: string): Promise<Plan | string> {
  const stored = await grants.get(sessionKey(session));
  const { accountId, browser = 'a browser', loginTs = 0, authorizations = {} } = stored?.value ?? {};
  if (stored === undefined || accountId === undefined || !(await sessionCounts(grants, stored.value)))
    return `there is no session ${JSON.stringify(session)}; "latchkey accounts show ACCOUNT" lists the sessions of an account`;
  const account = await accounts.find(accountId);
  const apps = Object.keys(authorizations).join(', ') || 'no app';
  return {
    target: { what: 'session', session },
    what: `the session of ${account?.email ?? accountId} in ${browser}, signed in ${timeText(loginTs * 1000)}`,
    lines: [`the person used it for ${apps}`, 'apps with offline access keep their access'],
  };
}

function planEverything({ before }: RevokeRequest): Promise<Plan> {
  return Promise.resolve({
    target: { what: 'everything', ...until(before) },
    what: `everything issued to everybody${since(before)}`,
    lines: ['every person must sign in again, and every app and machine must get new tokens'],
  });
}

function until(before: number | undefined): { before?: number } {
  return before === undefined ? {} : { before };
}

function since(before: number | undefined): string {
  return before === undefined ? '' : ` before ${timeText(before)}`;
}

/** Targets that `--before` can limit. */
const LIMITED_BY_BEFORE = ['account', 'client', 'everything'];

export const revoke: Command = {
  name: 'revoke',
  summary: 'revoke a token, a session, or everything issued to an account, a client or everybody',
  details: `It shows what it will revoke, and asks first. APIs refuse the tokens within seconds, even while no server runs.

revoke --account ann@example.com --before 1h      keeps what the account got in the last hour
revoke --client shop                              works even if the configuration no longer has the client
revoke --token - < leaked.txt                     revokes one access token, or a refresh token and all tokens of its sign-in`,
  options: {
    ...configOption,
    account: { value: 'ACCOUNT', summary: 'everything issued to the account with this email address or id' },
    client: { value: 'CLIENT_ID', summary: 'everything issued to this client, for all accounts' },
    issuer: { value: 'ISSUER', summary: 'everything issued for the tokens of this trusted issuer' },
    session: { value: 'SESSION', summary: 'one session, by its id in "latchkey accounts show"' },
    token: { value: 'FILE', summary: 'one token, read from this file, or from standard input for -' },
    everything: { summary: 'everything issued to everybody' },
    before: {
      value: 'INSTANT',
      summary: 'only what was issued before this time: 2026-01-31T12:00:00Z, or 1h for an hour ago',
    },
    yes: { summary: 'do not ask for confirmation' },
  },
  run(given, terminal) {
    const [kind, name] = readKind(given);
    const before = textOf(given, 'before');
    if (before !== undefined && !LIMITED_BY_BEFORE.includes(kind))
      throw new UsageError(`--before cannot be combined with --${kind}`);
    const instant = before === undefined ? undefined : readTimestamp('--before', before);
    const context = storeContext(given, terminal);
    const { config } = context.chosen;
    return withDomain(context, async (domain) => {
      const plan = await PLANS[kind]?.({ domain, terminal, before: instant }, name);
      if (plan === undefined || typeof plan === 'string') {
        terminal.warn(`latchkey: ${plan ?? kind}`);
        return 1;
      }
      const text = `revoking ${plan.what}\n${bullets([...plan.lines, revocationDelayText(config)])}`;
      if (!(await confirmed(given.options, terminal, text))) return 1;
      await domain.revoke(plan.target, 'ended-by-operator');
      terminal.print(`revoked ${plan.what}`);
      return 0;
    });
  },
};

/** Reads the target from the options. @throws UsageError unless the options name exactly one target */
function readKind({ options }: Arguments): [string, string] {
  const kinds = Object.keys(PLANS).filter((kind) => options[kind] !== undefined);
  const [kind] = kinds;
  const all = Object.keys(PLANS).map((name) => `--${name}`);
  if (kind === undefined) throw new UsageError(`revoke needs one of ${all.join(', ')}`);
  if (kinds.length > 1)
    throw new UsageError(`revoke takes only one of --${kinds.join(' and --')}: run it once for each`);
  return [kind, String(options[kind])];
}

const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/**
 * Parses a time in the past: ISO 8601 (a date means its start in UTC), or a duration before now. @returns milliseconds
 * since the epoch @throws UsageError
 */
function readTimestamp(option: string, text: string): number {
  const ago = parseDuration(text);
  const now = systemClock.now();
  const at = ago !== undefined ? now - ago * 1000 : ISO.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at))
    throw new UsageError(
      `${option} ${JSON.stringify(text)} must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 90m, 1h, 2d`,
    );
  if (at > now) throw new UsageError(`${option} ${JSON.stringify(text)} must be in the past`);
  return at;
}
