import { errors, type AccessToken, type ResourceServerInstance, type TokenEndpointGrantContext } from 'oidc-provider';
import { TOKEN_EXCHANGE } from '../../config/sections/client-schema.ts';
import type { Announce } from '../../events/events.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { buildTokenResponse, resolveRequestedResources } from '../../oidc/internals.ts';
import { senderConstraint } from '../../oidc/requests/key-proofs.ts';
import { omitUndefined, mayAct, setTokenClaims } from '../../oidc/requests/token-claims.ts';
import { exchangedFrom } from '../../oidc/requests/token-status.ts';
import { namesOf } from './actors.ts';
import type { Exchange, IssueToken } from './exchange.ts';
import type { PresentedToken } from './presented-token.ts';
import { unacceptable, type Role } from './token-types.ts';

/** Issues an access token for one of the APIs that the client's policy names. */
export function exchangedAccessToken({ announce, clock }: { announce: Announce; clock: Clock }): IssueToken {
  return async (context, exchange) => {
    const { provider, client } = context.oidc;
    const { subject, actor, act } = exchange;
    const sender = await senderConstraint(context);
    const target = await targetOf(context, exchange);
    const left = Math.min(subject.exp, actor?.exp ?? subject.exp) - epochSeconds(clock);
    // The engine would treat a life of 0 as unset, and give the token its usual life.
    if (left < 1) throw unacceptable('subject_token', 'expired');
    const token = new provider.AccessToken({
      accountId: subject.sub,
      client,
      // A token that a machine got for itself has no grant.
      grantId: subject.grant_id ?? '',
      gty: TOKEN_EXCHANGE,
      resourceServer: target,
      scope: scopeOf(exchange, target),
      expiresIn: Math.min(target.accessTokenTTL ?? left, left),
    });
    exchangedFrom(token, formerClientsOf(subject));
    sender.bind(token);
    staysBound('subject_token', subject, token);
    if (actor !== undefined) staysBound('actor_token', actor, token);
    const { acr, amr, auth_time, sid, grant_id } = subject;
    const roles = subject.roles.filter((role) => subject.account?.roles.includes(role));
    setTokenClaims(token, {
      ...omitUndefined({ acr, amr, auth_time, sid, grant_id, act, roles: roles.length === 0 ? undefined : roles }),
      ...mayAct(client),
    });
    context.oidc.entity('AccessToken', token);
    context.body = buildTokenResponse(provider, {
      accessToken: await token.save(),
      issuedTokenType: exchange.parameters.requested_token_type,
      tokenType: token.tokenType,
      expiresIn: token.expiration,
      scope: token.scope,
    });
    announce({
      type: 'token.exchanged',
      client: client.clientId,
      subject: subject.sub,
      from: subject.client_id,
      actors: namesOf(act),
      audience: target.identifier(),
    });
  };
}

/**
 * Lists the clients through which the access passed: the presented token's client, the client of its grant and, if no
 * account is involved, the machine that is its subject.
 */
function formerClientsOf({ client_id: last, grant_client: first, account, sub }: PresentedToken): string[] {
  return [last, ...(first === undefined ? [] : [first]), ...(account === undefined ? [sub] : [])];
}

/**
 * Finds the API that the new token is for. Both `resource` and `audience` name it (RFC 8693 §2.1), by the API's
 * identifier.
 */
async function targetOf(
  context: TokenEndpointGrantContext,
  { policy, parameters, subject }: Exchange,
): Promise<ResourceServerInstance> {
  const [target, ...others] = new Set([...parameters.resource, ...parameters.audience]);
  if (target === undefined) throw new errors.InvalidTarget('resource or audience is required');
  if (others.length > 0) throw new errors.InvalidTarget('a token is for one resource');
  if (!policy.resources.includes(target)) throw new errors.InvalidTarget();
  // The engine needs the account, because the API's scopes depend on the person's roles.
  if (subject.account !== undefined) context.oidc.entity('Account', { accountId: subject.account.id });
  context.oidc.params.resource = target;
  const [found] = await resolveRequestedResources(context.oidc.provider, context);
  if (found === undefined) throw new errors.InvalidTarget();
  return found;
}

/**
 * Returns the scopes of the new token: the requested ones or, by default, all that the presented token, the client, the
 * API and the person's roles allow. @throws errors.InvalidScope if a requested scope is not allowed
 */
function scopeOf({ parameters, subject }: Exchange, target: ResourceServerInstance): string | undefined {
  const had = new Set(subject.scope.split(' '));
  const allowed = [...target.scopes].filter((scope) => had.has(scope));
  const asked = parameters.scope?.split(' ') ?? allowed;
  const wider = asked.filter((scope) => !allowed.includes(scope));
  if (wider.length > 0) throw new errors.InvalidScope('requested scope is not allowed', wider.join(' '));
  return asked.length === 0 ? undefined : asked.join(' ');
}

/**
 * Refuses an exchange that would lose a key binding. Only the key's holder can exchange a bound token, and only for a
 * token bound to the same key.
 */
function staysBound(role: Role, { cnf }: PresentedToken, token: AccessToken): void {
  if (cnf === undefined) return;
  if (cnf.jkt !== token.jkt || cnf['x5t#S256'] !== token['x5t#S256'])
    throw unacceptable(role, 'bound to a key that the request does not prove');
}
