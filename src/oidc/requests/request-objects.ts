import { errors, type Client, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import type { ProfileRules } from '../../config/profiles.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import { LONGEST_PROOF } from '../storage/replay-adapter.ts';

type JwtClaims = Readonly<Record<string, unknown>>;
type AssertRequestObject = NonNullable<
  NonNullable<NonNullable<Configuration['features']>['requestObjects']>['assertJwtClaimsAndHeader']
>;

/** The one type of its own that a signed request has (RFC 9101 §10.8); most clients still say nothing more than `JWT`. */
const TYPES = ['jwt', 'oauth-authz-req+jwt', 'application/oauth-authz-req+jwt'];

/**
 * What the engine does not ask of a signed request (RFC 9101): that it is none of the client's other JWTs, that it
 * ends soon, and that one with a name is used once.
 */
export function requestObjects(clock: Clock) {
  /** Named request objects whose signature is not known to be good yet. */
  const named = new WeakMap<KoaContextWithOIDC, { jti: string; exp: number }>();

  const assertRequestObject: AssertRequestObject = (context, claims, { alg, typ }, client) => {
    const { exp, jti, sub } = claims;
    // What was handed in at /par comes by again, from our own store.
    if (context.oidc.entities.PushedAuthorizationRequest !== undefined) return;
    if (typ !== undefined && (typeof typ !== 'string' || !TYPES.includes(typ.toLowerCase())))
      throw new errors.InvalidRequestObject('the type (typ) must be oauth-authz-req+jwt');
    if (sub === client.clientId)
      throw new errors.InvalidRequestObject('the subject (sub) must not be the client: that is a client assertion');
    if (typeof exp !== 'number' || exp > epochSeconds(clock) + LONGEST_PROOF)
      throw new errors.InvalidRequestObject(`the request must expire (exp) within ${LONGEST_PROOF} seconds`);
    assertProfile(claims, alg, rulesOf(client));
    if (typeof jti === 'string') named.set(context, { jti, exp });
  };

  /** Only now is it the client that has used the name up, and not somebody who wrote it down. */
  async function claimRequestObject(context: KoaContextWithOIDC, client: Client): Promise<void> {
    const object = named.get(context);
    if (object === undefined) return;
    const { ReplayDetection } = context.oidc.provider;
    if (!(await ReplayDetection.unique(`request object ${client.clientId} `, object.jti, object.exp)))
      throw new errors.InvalidRequestObject('the request was used before');
  }

  return { assertRequestObject, claimRequestObject };
}

/** FAPI 2.0 Message Signing §5.3.1, and the algorithms of the client's profile. */
function assertProfile(claims: JwtClaims, alg: unknown, { algorithms, signedRequests }: ProfileRules): void {
  if (algorithms?.some((one) => one === alg) === false)
    throw new errors.InvalidRequestObject('the profile of the client does not allow this algorithm');
  if (!signedRequests) return;
  const { exp, nbf } = claims;
  if (typeof nbf !== 'number' || typeof exp !== 'number' || exp - nbf > LONGEST_PROOF)
    throw new errors.InvalidRequestObject(
      `the request must begin (nbf) at most ${LONGEST_PROOF} seconds before it ends`,
    );
}
