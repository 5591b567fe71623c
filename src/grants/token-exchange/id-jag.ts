import { errors } from 'oidc-provider';
import { accountClaims } from '../../accounts/claims.ts';
import type { SubjectNames } from '../../accounts/pairwise.ts';
import { ID_JAG_TYPE } from '../../config/sections/issuer-schema.ts';
import type { Announce } from '../../events/events.ts';
import type { RingSnapshot } from '../../keys/ring.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import { policyOf } from '../../oidc/clients/client-metadata.ts';
import { buildTokenResponse, signJwt } from '../../oidc/internals.ts';
import { senderConstraint } from '../../oidc/requests/key-proofs.ts';
import { omitUndefined } from '../../oidc/requests/token-claims.ts';
import type { Exchange, IssueToken } from './exchange.ts';
import { subjectFor } from './presented-token.ts';
import { unacceptable, TOKEN_TYPE } from './token-types.ts';

/** Longest life of an ID-JAG in seconds. It is short, because the client presents the ID-JAG at once. */
const LIFE = 300;

type Target = NonNullable<Exchange['policy']['id_jag']>[number];

/**
 * Issues an Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant). An app
 * presents it to another authorization server that trusts this one, and then uses an API there for the signed-in
 * person. This server signs it with the first configured algorithm.
 */
export function idJag(dependencies: {
  issuer: string;
  subjectNames: SubjectNames;
  ring: Pick<RingSnapshot, 'signing'>;
  announce: Announce;
  clock: Clock;
  random: Random;
}): IssueToken {
  const { issuer, ring, announce, clock, random } = dependencies;
  const { alg = 'ES256' } = ring.signing[0] ?? {};
  return async (context, exchange) => {
    const { client, provider } = context.oidc;
    const { subject } = exchange;
    showsIdentity(exchange, client.clientId);
    const target = targetOf(exchange);
    const resource = resourceOf(exchange, target);
    const scope = scopeOf(exchange, target);
    const { jkt } = await senderConstraint(context);
    const now = epochSeconds(clock);
    const exp = Math.min(now + LIFE, subject.exp);
    const { acr, amr, auth_time } = subject;
    const address = policyOf(client).scopes.filter((name) => name === 'email');
    const claims = {
      ...(subject.account && accountClaims(subject.account, address)),
      ...{
        iss: issuer,
        sub: subjectFor(subject, client, dependencies.subjectNames),
        aud: target.audience,
        client_id: target.client_id ?? client.clientId,
      },
      ...{ jti: newId('jag', clock, random), iat: now, exp, resource },
      ...omitUndefined({ scope, acr, amr, auth_time, cnf: jkt && { jkt } }),
    };
    context.body = buildTokenResponse(provider, {
      accessToken: await signJwt(provider, claims, { alg, typ: ID_JAG_TYPE }),
      issuedTokenType: TOKEN_TYPE.id_jag,
      // RFC 8693 §2.2.1: the issued token is not an access token.
      tokenType: 'N_A',
      expiresIn: exp - now,
      scope,
    });
    announce({
      type: 'token.exchanged',
      client: client.clientId,
      subject: subject.sub,
      from: subject.client_id,
      actors: [],
      audience: target.audience,
    });
  };
}

/** Requires the subject token to be the person's ID token for this client, and refuses an actor token. */
function showsIdentity({ parameters, subject, actor }: Exchange, clientId: string): void {
  if (parameters.subject_token_type !== TOKEN_TYPE.id_token) throw unacceptable('subject_token', 'is not an ID token');
  if (subject.client_id !== clientId) throw unacceptable('subject_token', `was issued to ${subject.client_id}`);
  if (actor !== undefined) throw unacceptable('actor_token', 'is not allowed for an ID-JAG');
}

function targetOf({ policy, parameters }: Exchange): Target {
  const [audience, ...others] = parameters.audience;
  const target = policy.id_jag?.find((one) => one.audience === audience);
  if (target === undefined || others.length > 0)
    throw new errors.InvalidTarget('audience must be a server for which the client may get an ID-JAG');
  return target;
}

function resourceOf({ parameters }: Exchange, { resources }: Target): string {
  const asked = parameters.resource.length > 0 ? parameters.resource : resources;
  const [resource, ...others] = asked;
  if (resource === undefined || others.length > 0 || !resources.includes(resource))
    throw new errors.InvalidTarget('resource must be one of the APIs that the client may use there');
  return resource;
}

/**
 * Returns the requested scopes or, if the request names none, all that the client's policy allows at the target server.
 */
function scopeOf({ parameters }: Exchange, { scopes }: Target): string | undefined {
  const asked = parameters.scope?.split(' ') ?? scopes;
  const foreign = asked.find((name) => !scopes.includes(name));
  if (foreign !== undefined) throw new errors.InvalidScope('the client may not have this scope there', foreign);
  return asked.length === 0 ? undefined : asked.join(' ');
}
