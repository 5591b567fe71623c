import { errors } from 'oidc-provider';
import { TOKEN_EXCHANGE } from '../../config/sections/client-schema.ts';
import type { Announce } from '../../events/events.ts';
import type { RingSnapshot } from '../../keys/ring.ts';
import type { Random } from '../../lib/random.ts';
import { policyOf } from '../../oidc/clients/client-metadata.ts';
import type { GrantType } from '../../oidc/grant-type.ts';
import { actorsOf } from './actors.ts';
import { parametersSchema, type Exchange, type IssueToken } from './exchange.ts';
import { exchangedAccessToken } from './exchanged-access-token.ts';
import { idJag } from './id-jag.ts';
import {
  presentedTokens,
  subjectFor,
  type PresentedToken,
  type PresentedTokenDependencies,
} from './presented-token.ts';
import { unacceptable, type Role, presentedType, TOKEN_TYPE } from './token-types.ts';

/**
 * Token exchange (RFC 8693): a client presents a token that it has received, and gets a new one for another API. The
 * new token never allows more or lives longer than the presented one. It names the actor, unless the client's policy
 * allows impersonation and the request has no actor token. The policy lists all allowed exchanges.
 */
export function tokenExchange(
  dependencies: PresentedTokenDependencies & {
    ring: Pick<RingSnapshot, 'signing'>;
    announce: Announce;
    random: Random;
  },
): GrantType {
  const read = presentedTokens(dependencies);
  const accessToken = exchangedAccessToken(dependencies);
  /** The issuing function for each `requested_token_type`. */
  const issuers = new Map<string, IssueToken>([
    [TOKEN_TYPE.access_token, accessToken],
    [TOKEN_TYPE.jwt, accessToken],
    [TOKEN_TYPE.id_jag, idJag(dependencies)],
  ]);
  return {
    name: TOKEN_EXCHANGE,
    parameters: Object.keys(parametersSchema.shape),
    repeatable: ['resource', 'audience'],
    async handle(context) {
      const { client, params } = context.oidc;
      const { tokenExchange: policy } = policyOf(client);
      if (policy === undefined || client.clientAuthMethod === 'none')
        throw new errors.UnauthorizedClient('the client has no policy for token exchange');
      const { data: parameters, error } = parametersSchema.safeParse(params);
      if (parameters === undefined) throw new errors.InvalidRequest(error.issues[0]?.message ?? 'parameters');
      const issue = issuers.get(parameters.requested_token_type);
      if (issue === undefined) throw new errors.InvalidRequest('requested_token_type is not supported');
      const present = async (role: Role, token: string, type: string): Promise<PresentedToken> => {
        const known = presentedType(type);
        if (known === undefined || !policy[`${role}_types`].includes(known)) throw unacceptable(role, `is a ${type}`);
        return read(context, { role, token, type: known }, policy);
      };
      const subject = await present('subject_token', parameters.subject_token, parameters.subject_token_type);
      const actor = await presentedActor(parameters, present);
      const actorName = actor === undefined ? client.clientId : subjectFor(actor, client, dependencies.subjectNames);
      const act = actorsOf(subject, actorName, actor !== undefined || !policy.impersonation);
      await issue(context, { policy, parameters, subject, actor, act });
    },
  };
}

async function presentedActor(
  { actor_token: token, actor_token_type: type }: Exchange['parameters'],
  present: (role: Role, token: string, type: string) => Promise<PresentedToken>,
): Promise<PresentedToken | undefined> {
  if ((token === undefined) !== (type === undefined))
    throw new errors.InvalidRequest('actor_token and actor_token_type come together');
  if (token === undefined || type === undefined) return undefined;
  const actor = await present('actor_token', token, type);
  // If the actor token named an actor itself, that actor would act for two subjects at once.
  if (actor.act !== undefined) throw unacceptable('actor_token', 'is a delegation itself');
  return actor;
}
