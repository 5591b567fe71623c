import { TOKEN_EXCHANGE } from './client-schema.ts';
import type { Fault } from '../problems.ts';
import type { ClientConfig, Draft } from '../schema.ts';
import { didYouMean } from '../suggest.ts';

type TokenExchange = NonNullable<ClientConfig['token_exchange']>;

/** Checks a client's token exchange policy (RFC 8693); paths start at the client. */
export function checkTokenExchange(client: ClientConfig, { resources }: Pick<Draft, 'resources'>): Fault[] {
  const policy = client.token_exchange;
  const isRegistered = client.grant_types?.includes(TOKEN_EXCHANGE) === true;
  if (policy === undefined)
    return isRegistered ? [{ path: ['token_exchange'], message: `is required for ${TOKEN_EXCHANGE}` }] : [];
  if (!isRegistered) return [{ path: ['token_exchange'], message: `needs ${TOKEN_EXCHANGE} under grant_types` }];
  return [
    ...audiencesAreRegistered(policy.audiences, resources),
    ...resourcesAreOwn(policy.resources, client),
    ...identityIsShown(policy),
  ];
}

function audiencesAreRegistered(audiences: readonly string[], resources: Draft['resources']): Fault[] {
  if (!resources.every((resource) => resource !== undefined)) return [];
  const known = resources.map((resource) => resource.identifier);
  return audiences.flatMap((audience, index) =>
    known.includes(audience)
      ? []
      : [
          {
            path: ['token_exchange', 'audiences', index],
            message: `is not under resources${didYouMean(audience, known)}`,
          },
        ],
  );
}

function resourcesAreOwn(targets: readonly string[], { resources }: ClientConfig): Fault[] {
  return targets.flatMap((target, index) =>
    resources.includes(target)
      ? []
      : [{ path: ['token_exchange', 'resources', index], message: 'must be one of the resources of the client' }],
  );
}

/**
 * Requires `id_token` as a subject token type for `id_jag`, because the server issues an ID-JAG only in exchange for an
 * ID token.
 */
function identityIsShown({ id_jag: targets = [], subject_token_types: types }: TokenExchange): Fault[] {
  if (targets.length === 0 || types.includes('id_token')) return [];
  return [{ path: ['token_exchange', 'subject_token_types'], message: 'must have id_token, which id_jag needs' }];
}
