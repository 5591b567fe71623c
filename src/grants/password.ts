import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import type { SignIn, SignInResult } from '../credentials/password-check.ts';
import { TooBusy } from '../limits/semaphore.ts';
import type { Announce } from '../events/events.ts';
import { clientAddress } from '../http/request-facts.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { policyOf } from '../oidc/clients/client-metadata.ts';
import { addRequestedAccess } from '../oidc/existing-grant.ts';
import type { GrantType } from '../oidc/grant-type.ts';
import { codeFlowTokens, resolveRequestedResources, validateClientScope } from '../oidc/internals.ts';

interface PasswordGrantDependencies {
  signIn: SignIn;
  announce: Announce;
  clock: Clock;
}

/**
 * The resource owner password grant (RFC 6749 §4.3), only for old first-party apps until they migrate, because RFC 9700
 * §2.4 forbids it. The sign-in page and this grant count attempts together.
 */
export function passwordGrant(dependencies: PasswordGrantDependencies): GrantType {
  return {
    name: 'password',
    parameters: ['username', 'password', 'scope', 'resource'],
    async handle(context) {
      const { client, params } = context.oidc;
      if (!policyOf(client).firstParty) throw new errors.UnauthorizedClient('the client is not first-party');
      const { username, password } = params;
      if (typeof username !== 'string' || typeof password !== 'string')
        throw new errors.InvalidRequest('username and password are required');
      // The scope is checked before the password, so that a faulty request does not count as an attempt.
      const scopes = validateClientScope(context.oidc.provider, context);
      const accountId = await signedIn(context, { username, password }, dependencies);
      await issueTokens(context, { scopes, accountId, authTime: epochSeconds(dependencies.clock) });
    },
  };
}

/**
 * Signs a person in by password. @returns the account's id @throws the error for the client if the sign-in is refused
 * or delayed
 */
async function signedIn(
  context: TokenEndpointGrantContext,
  { username: email, password }: { username: string; password: string },
  { signIn, announce }: PasswordGrantDependencies,
): Promise<string> {
  const address = clientAddress(context);
  const result = await signIn({ email, password, address }).catch((error: unknown) => {
    throw error instanceof TooBusy ? later(context, error.retryAfter, { status: 503, reason: error.message }) : error;
  });
  if (result.outcome === 'signed-in') {
    const { id } = result.account;
    announce({ type: 'account.signed-in', account: id, client: context.oidc.client.clientId, address });
    return id;
  }
  throw refusal(context, result, address, announce);
}

function refusal(
  context: TokenEndpointGrantContext,
  result: Exclude<SignInResult, { outcome: 'signed-in' }>,
  address: string,
  announce: Announce,
): Error {
  if (result.outcome === 'wait') {
    announce({ type: 'sign-in.delayed', address, seconds: result.seconds });
    return later(context, result.seconds, { status: 429, reason: 'too many attempts' });
  }
  announce({ type: 'sign-in.refused', address });
  return new errors.InvalidGrant(`the password does not sign in: ${result.outcome}`);
}

/** Returns `temporarily_unavailable`, because RFC 6749 §5.2 has no error for "retry later". */
function later(
  context: TokenEndpointGrantContext,
  seconds: number,
  { status, reason }: { status: number; reason: string },
): Error {
  context.set('Retry-After', String(seconds));
  const error = new errors.CustomOIDCProviderError('temporarily_unavailable', 'try again later', { detail: reason });
  return Object.assign(error, { status, statusCode: status });
}

/** Issues tokens as the code flow does after a sign-in, but without a session. */
async function issueTokens(
  context: TokenEndpointGrantContext,
  { scopes, accountId, authTime }: { scopes: ReadonlySet<string>; accountId: string; authTime: number },
): Promise<void> {
  const { provider, client, params } = context.oidc;
  context.oidc.entity('Account', { accountId });
  await resolveRequestedResources(provider, context);
  const [resource] = Object.keys(context.oidc.resourceServers);
  // The engine has stored the client's default resource here as a list, which would count as several resources.
  delete params.resource;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  addRequestedAccess(context, grant);
  const grantId = await grant.save();
  const source = new provider.AuthorizationCode({
    ...{ accountId, client, grantId, authTime, acr: 'aal1', amr: ['pwd'] },
    scope: [...scopes].join(' '),
    resource,
    gty: 'password',
  });
  context.oidc.entity('Grant', grant);
  context.oidc.entity('AuthorizationCode', source);
  await codeFlowTokens(context, { source, grant, name: 'password' });
}
