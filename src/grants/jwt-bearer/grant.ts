import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import type { Account } from '../../accounts/account.ts';
import { JWT_BEARER } from '../../config/sections/client-schema.ts';
import type { Announce } from '../../events/events.ts';
import { policyOf } from '../../oidc/clients/client-metadata.ts';
import type { GrantType } from '../../oidc/grant-type.ts';
import { buildTokenResponse, resolveRequestedResources } from '../../oidc/internals.ts';
import { trustedBy } from '../../oidc/requests/token-status.ts';
import { senderConstraint, type SenderConstraint } from '../../oidc/requests/key-proofs.ts';

import { readAssertion } from './assertion.ts';
import type { Check, Examination, Request, Examiner } from './examination.ts';
import { firstFailure } from './checks.ts';
import type { Subjects } from './subject.ts';

interface JwtBearerDependencies {
  examine: Examiner;
  subjects: Subjects;
  announce: Announce;
}

/**
 * Accepts a trusted issuer's token as a grant (RFC 7523 §2.1). The grant issues an access token only. A refresh token
 * is unnecessary, because the client can get another assertion. An ID token would be wrong, because nobody signed in
 * here.
 */
export function jwtBearerGrant({ examine, subjects, announce }: JwtBearerDependencies): GrantType {
  return {
    name: JWT_BEARER,
    parameters: ['assertion', 'scope', 'resource'],
    repeatable: ['resource'],
    async handle(context) {
      // The proof is checked first, because a request that must be repeated with a DPoP nonce must not use up the
      // assertion.
      const sender = await senderConstraint(context);
      const examination = await examine(requestOf(context, sender));
      const { claims, issuer, request } = examination;
      const failed = await firstFailure(examination);
      if (failed !== undefined) throw refused(failed, examination.here);
      const subject = await examination.subject();
      const account = await subjects.settle(subject, issuer, claims);
      if (account === undefined && subject.is !== 'service')
        throw new errors.InvalidGrant('assertion refused: no account');
      await issueToken(context, { examination, account, sender, issuer: issuer.issuer });
      announce({
        type: 'assertion.accepted',
        issuer: issuer.issuer,
        subject: String(claims['sub']),
        client: request.client.id,
        account: account?.id,
      });
    },
  };
}

/**
 * Returns the error for a failed check. The response names the fault only if the audience is wrong, because a
 * misconfigured issuer could not find it otherwise.
 */
function refused({ reason, says }: Check, here: string): errors.InvalidGrant {
  const error = new errors.InvalidGrant(`assertion refused: ${reason}: ${says}`);
  if (!reason.startsWith('audience_')) return error;
  return Object.assign(error, {
    error_description: `the audience (aud) of the assertion must be ${here} and nothing else`,
  });
}

function requestOf({ oidc: { client, params } }: TokenEndpointGrantContext, sender: SenderConstraint): Request {
  const { assertion, scope, resource = [] } = params as Record<string, string | string[] | undefined>;
  if (typeof assertion !== 'string') throw new errors.InvalidRequest("missing required parameter 'assertion'");
  const policy = policyOf(client);
  return {
    assertion: readAssertion(assertion),
    client: {
      id: client.clientId,
      isProved: client.clientAuthMethod !== 'none',
      resources: policy.resources,
      defaultResource: policy.defaultResource,
    },
    scopes: typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : [],
    resources: [resource].flat(),
    jkt: sender.jkt,
  };
}

interface TokenContext {
  examination: Examination;
  account: Account | undefined;
  sender: SenderConstraint;
  issuer: string;
}

/** Issues a token with the requested scopes that the API has, the client may have and the account's roles allow. */
async function issueToken(context: TokenEndpointGrantContext, given: TokenContext): Promise<void> {
  const { examination, account, sender, issuer } = given;
  const { client, params, provider } = context.oidc;
  if (account !== undefined) context.oidc.entity('Account', { accountId: account.id });
  Object.assign(params, { resource: examination.resource });
  const [resourceServer] = await resolveRequestedResources(provider, context);
  if (resourceServer === undefined) throw new errors.InvalidTarget();
  const possible = resourceServer.scope.split(' ');
  const scope = examination.scopes.filter((name) => possible.includes(name)).join(' ');
  const common = { client, resourceServer, ...(scope !== '' && { scope }) };
  const token =
    account === undefined
      ? new provider.ClientCredentials(common)
      : // There is no grant: the operator's trust in the issuer takes the place of the person's consent.
        new provider.AccessToken({ ...common, accountId: account.id, grantId: '', gty: JWT_BEARER });
  sender.bind(token);
  trustedBy(token, issuer);
  context.oidc.entity(token.kind, token);
  context.body = buildTokenResponse(provider, {
    accessToken: await token.save(),
    expiresIn: token.expiration,
    scope: token.scope,
    tokenType: token.tokenType,
  });
}
