import { errors, type Configuration } from 'oidc-provider';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import { LONGEST_PROOF } from '../storage/replay-adapter.ts';

/** What a client may sign its assertions with (RFC 7523 §2.2). */
export const ASSERTION_ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519', 'HS256'] as const;

/**
 * What the engine does not ask of a client's assertion: that it is for this issuer and nobody else, since another
 * server could pass it on (draft-ietf-oauth-rfc7523bis §4), and that it ends before it is forgotten that it was used.
 */
export function assertClientAssertion(
  issuer: string,
  clock: Clock,
): NonNullable<Configuration['assertJwtClientAuthClaimsAndHeader']> {
  return (_context, { aud, exp }, { alg }, client) => {
    const { algorithms } = rulesOf(client);
    if (algorithms?.some((one) => one === alg) === false)
      throw new errors.InvalidClientAuth('the profile of the client does not allow this algorithm');
    if (aud !== issuer) throw new errors.InvalidClientAuth('the audience (aud) must be the issuer, and nothing else');
    if (typeof exp !== 'number' || exp > epochSeconds(clock) + LONGEST_PROOF)
      throw new errors.InvalidClientAuth(`the assertion must expire (exp) within ${LONGEST_PROOF} seconds`);
  };
}
