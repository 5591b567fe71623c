import type { Context } from 'koa';
import type { Account } from '../accounts/account.ts';
import { ACCOUNT_CLIENT } from '../config/sections/client-schema.ts';
import type { Form } from '../http/request-body.ts';
import { withParameters } from '../http/response-headers.ts';
import { normaliseEmail } from '../lib/email.ts';
import { policyOf } from '../oidc/clients/client-metadata.ts';
import type { InteractionDetails } from '../oidc/storage/interactions.ts';
import type { InteractionContext } from './interaction-context.ts';

type OtherTabDependencies = Pick<InteractionContext, 'provider' | 'interactions' | 'accounts'>;

/** Reasons for a sign-in that a session from another tab may remove. The engine checks them again as it continues. */
const COMPARED: readonly string[] = [
  'no_session',
  'max_age',
  'id_token_hint',
  'claims_id_token_sub_value',
  'essential_acr',
  'essential_acrs',
];

/**
 * Finds the account to which another tab has signed in, if nobody was signed in when this sign-in began. A device still
 * requires the password, because the person in the other tab confirmed nothing about it (RFC 8628 §5.4).
 */
export async function signedInElsewhere(
  { provider, accounts }: OtherTabDependencies,
  context: Context,
  { params, prompt, session: asked }: InteractionDetails,
): Promise<Account | undefined> {
  const { login_hint: hint, redirect_uri: redirectUri } = params;
  const isOpen = prompt.reasons.includes('no_session') && prompt.reasons.every((reason) => COMPARED.includes(reason));
  if (prompt.name !== 'login' || !isOpen || asked?.accountId !== undefined || redirectUri === undefined)
    return undefined;
  const { accountId } = await provider.Session.get(context);
  const account = accountId === undefined ? undefined : await accounts.find(accountId);
  if (account === undefined || account.disabledAt !== undefined) return undefined;
  return typeof hint !== 'string' || isAddressOf(account, hint) ? account : undefined;
}

/**
 * Tells whether a submitted form may continue without its password. It must name the session's account or none, and the
 * request must demand nothing beyond a session.
 */
export async function needsNoPassword(
  dependencies: OtherTabDependencies,
  context: Context,
  { details, form }: { details: InteractionDetails; form: Form },
): Promise<boolean> {
  if (details.prompt.reasons.some((reason) => reason !== 'no_session')) return false;
  const account = await signedInElsewhere(dependencies, context, details);
  const email = form.get('email') ?? '';
  return account !== undefined && (email.trim() === '' || isAddressOf(account, email));
}

/**
 * Finds the page that followed a finished sign-in: the app, an account page or the next question. The authorization
 * response itself is not repeated, because a code used twice revokes the tokens of its first use (RFC 6749 §4.1.2).
 * @returns undefined if there is no such page, or if another browser signed in
 */
export async function pageAfterEnd(
  { provider, interactions }: OtherTabDependencies,
  context: Context,
  uid: string,
): Promise<string | undefined> {
  const end = await interactions.endOf(context, uid);
  if (end === undefined || 'next' in end) return end?.next;
  const client = await provider.Client.find(end.client);
  if (client === undefined) return undefined;
  if (end.client === ACCOUNT_CLIENT) return withParameters(end.redirectUri, { state: end.page });
  const { origin, protocol } = new URL(end.redirectUri);
  if (protocol !== 'https:' && protocol !== 'http:') return undefined;
  const home = policyOf(client).isSelfDescribed ? undefined : client.clientUri;
  return home !== undefined && new URL(home).origin === origin ? home : `${origin}/`;
}

function isAddressOf({ email }: Account, text: string): boolean {
  return normaliseEmail(text) === email;
}
