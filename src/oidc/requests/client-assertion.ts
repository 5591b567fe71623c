import { errors, type Configuration } from 'oidc-provider';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import type { SecretGuesses } from '../clients/secret-guesses.ts';
import { LONGEST_PROOF } from '../storage/replay-adapter.ts';
import { clientJwtFault } from './client-jwt.ts';

/** Signature algorithms of client assertions (RFC 7523 §2.2). */
export const ASSERTION_ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519', 'HS256'] as const;

/** The registered type (draft-ietf-oauth-rfc7523bis §3), and `JWT`, which most clients still send. */
const TYPES = ['jwt', 'client-authentication+jwt'];

/** Checks that a client assertion expires before the server forgets its use; the engine does not. */
export function assertClientAssertion({
  clock,
  secretGuesses,
}: {
  clock: Clock;
  secretGuesses: SecretGuesses;
}): NonNullable<Configuration['assertJwtClientAuthClaimsAndHeader']> {
  return async (context, claims, header, client) => {
    if (client.clientAuthMethod === 'client_secret_jwt') await secretGuesses.admit(context, client.clientId);
    const fault = clientJwtFault({ header, claims }, { types: TYPES, rules: rulesOf(client), clock });
    if (fault !== undefined) throw new errors.InvalidClientAuth(fault);
    const { exp } = claims;
    if (typeof exp !== 'number' || exp > epochSeconds(clock) + LONGEST_PROOF)
      throw new errors.InvalidClientAuth(`the assertion must expire (exp) within ${LONGEST_PROOF} seconds`);
  };
}
