import { verifies } from '../../lib/public-key.ts';
import { scopesExist, resourcesAreRegistered } from './client-checks.ts';
import { goneResponseTypes } from './profile-checks.ts';
import type { Fault, Path } from '../problems.ts';
import type { Draft } from '../schema.ts';

/** Checks the rules for self-registered clients against the rest of the configuration. */
export function checkRegistration(draft: Draft): Fault[] {
  return [
    ...reachExists(draft),
    ...unusedOutlivesTokens(draft),
    ...statementsCanBeVerified(draft),
    ...responseTypesCanBe(draft),
  ];
}

function reachExists({ resources, ...draft }: Draft): Fault[] {
  return (['registration', 'client_id_metadata_documents'] as const).flatMap((section) => {
    const reach = draft[section];
    if (reach === undefined) return [];
    const faults = [...resourcesAreRegistered(reach, { resources }), ...scopesExist(reach, { resources })];
    return faults.map(({ path, message }) => ({ path: [section, ...path], message }));
  });
}

/** Requires that an unused client lives at least as long as a refresh token, because a refresh needs its client. */
function unusedOutlivesTokens({ registration, tokens }: Draft): Fault[] {
  if (registration === undefined || tokens === undefined || registration.unused >= tokens.refresh_token) return [];
  return [{ path: ['registration', 'unused'], message: 'must not be shorter than tokens.refresh_token' }];
}

/** Refuses response types that no client could register. */
function responseTypesCanBe({ registration, profile }: Draft): Fault[] {
  if (registration === undefined || profile === undefined) return [];
  const { response_types: types, grant_types: grants } = registration;
  const gone = goneResponseTypes(types, profile).map((fault) => ({ ...fault, path: ['registration', ...fault.path] }));
  if (gone.length > 0 || types.every((type) => type === 'code') || grants.includes('authorization_code')) return gone;
  const message = 'needs authorization_code under registration.grant_types';
  return [{ path: ['registration', 'response_types'], message }];
}

function statementsCanBeVerified({ registration }: Draft): Fault[] {
  const { issuers = [], required = false } = registration?.software_statements ?? {};
  const path: Path = ['registration', 'software_statements'];
  const unable = issuers.flatMap(({ jwks }, index) =>
    jwks?.keys.some(verifies) === false
      ? [{ path: [...path, 'issuers', index, 'jwks'], message: 'needs a key that verifies signatures (use: sig)' }]
      : [],
  );
  const keyless = issuers.flatMap(({ jwks, jwks_uri: uri }, index) =>
    (jwks === undefined) === (uri === undefined)
      ? [{ path: [...path, 'issuers', index], message: 'needs either jwks or jwks_uri' }]
      : [],
  );
  if (!required || issuers.length > 0) return [...keyless, ...unable];
  return [{ path: [...path, 'issuers'], message: 'needs at least one issuer if a statement is required' }];
}
