import { errors, type Client, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import type { ProfileRules } from '../../config/sections/profiles.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import { CLOCK_TOLERANCE, LONGEST_PROOF } from '../storage/replay-adapter.ts';
import type { EngineStep } from '../internals.ts';
import { unverifiedClaims, clientJwtFault } from './client-jwts.ts';

type JwtClaims = Readonly<Record<string, unknown>>;
type AssertRequestObject = NonNullable<
  NonNullable<NonNullable<Configuration['features']>['requestObjects']>['assertJwtClaimsAndHeader']
>;

/** The registered type of a signed request (RFC 9101 §10.8); most clients still send `JWT`. */
const TYPES = ['jwt', 'oauth-authz-req+jwt'];

/**
 * Checks signed requests beyond the engine's rules (RFC 9101). The JWT must be made for this purpose and expire soon,
 * and its `jti` can be used only once.
 */
export function requestObjects(clock: Clock) {
  /** The `jti` and expiry of each current request object, until its signature is verified. */
  const named = new WeakMap<KoaContextWithOIDC, { jti: string; exp: number }>();

  const assertRequestObject: AssertRequestObject = (context, claims, header, client) => {
    const { exp, jti, sub } = claims;
    // A pushed request was checked when the client pushed it, and now comes from this server's own store.
    if (context.oidc.entities.PushedAuthorizationRequest !== undefined) return;
    const rules = rulesOf(client);
    const fault = clientJwtFault({ header, claims }, { types: TYPES, rules, clock });
    if (fault !== undefined) throw new errors.InvalidRequestObject(fault);
    if (sub === client.clientId)
      throw new errors.InvalidRequestObject('the subject (sub) must not be the client: that is a client assertion');
    if (typeof exp !== 'number' || exp > epochSeconds(clock) + LONGEST_PROOF)
      throw new errors.InvalidRequestObject(`the request must expire (exp) within ${LONGEST_PROOF} seconds`);
    assertProfile(claims, rules);
    if (context.oidc.route === 'backchannel_authentication') assertBackchannel(context, claims, clock);
    if (typeof jti === 'string') named.set(context, { jti, exp });
  };

  /**
   * Claims the `jti` of a request object. This runs after the signature is verified, so that nobody else can use up the
   * client's `jti`.
   */
  async function claimRequestObject(context: KoaContextWithOIDC, client: Client): Promise<void> {
    const object = named.get(context);
    if (object === undefined) return;
    const { ReplayDetection } = context.oidc.provider;
    const forgotten = object.exp + CLOCK_TOLERANCE;
    if (!(await ReplayDetection.unique(`request object ${client.clientId} `, object.jti, forgotten)))
      throw new errors.InvalidRequestObject('the request was used before');
  }

  return { assertRequestObject, claimRequestObject };
}

/**
 * Names the expected audience in the error if a signed request is for another one (RFC 9101 §4). The engine reports
 * only that the claims are invalid.
 */
export function nameRequestAudience(engine: EngineStep): EngineStep {
  return async (context, next) => {
    const { oidc } = context;
    const object = oidc.params?.['request'];
    try {
      await engine(context, () => Promise.resolve());
    } catch (error) {
      if (error instanceof errors.InvalidRequestObject && typeof object === 'string') {
        const claims = unverifiedClaims(object);
        if (claims !== undefined && ![claims['aud']].flat().includes(oidc.issuer))
          error.error_description = `${error.error_description ?? ''}: the audience (aud) must be ${oidc.issuer}`;
      }
      throw error;
    }
    await next();
  };
}

/**
 * Requires a signed request to have `nbf` and a short lifetime if the client's profile demands it (FAPI 2.0 Message
 * Signing §5.3.1).
 */
function assertProfile(claims: JwtClaims, { signedRequests }: ProfileRules): void {
  if (!signedRequests) return;
  const { exp, nbf } = claims;
  if (typeof nbf !== 'number' || typeof exp !== 'number' || exp - nbf > LONGEST_PROOF)
    throw new errors.InvalidRequestObject(
      `the request must begin (nbf) at most ${LONGEST_PROOF} seconds before it ends`,
    );
}

/**
 * Parameters of a CIBA request. If the request is signed, they may appear only among its claims (CIBA Core 1.0 §7.1).
 */
const CIBA_PARAMETERS = [
  ...['scope', 'acr_values', 'login_hint', 'login_hint_token', 'id_token_hint', 'binding_message', 'user_code'],
  ...['client_notification_token', 'requested_expiry', 'request_context', 'resource', 'claims', 'nonce'],
] as const;

/**
 * Checks a signed CIBA request (CIBA Core 1.0 §7.1.1). It must have `jti`, `iat`, `nbf` and `exp`, and no parameters
 * outside the JWT. @throws errors.InvalidRequestObject
 */
function assertBackchannel({ oidc }: KoaContextWithOIDC, claims: JwtClaims, clock: Clock): void {
  const times = ['iat', 'nbf', 'exp'].filter((name) => typeof claims[name] !== 'number');
  if (times.length > 0) throw new errors.InvalidRequestObject(`the request must have ${times.join(', ')} as numbers`);
  if (typeof claims['jti'] !== 'string' || claims['jti'] === '')
    throw new errors.InvalidRequestObject('the request must have a name (jti)');
  if (Number(claims['iat']) > epochSeconds(clock) + CLOCK_TOLERANCE)
    throw new errors.InvalidRequestObject('the request was issued (iat) in the future');
  const beside = CIBA_PARAMETERS.find((name) => oidc.body?.[name] !== undefined);
  if (beside !== undefined)
    throw new errors.InvalidRequestObject(`${beside} must stand in the signed request, and not beside it`);
}
