import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { EngineStep } from '../internals.ts';

/** The engine's message for one identifier in the header and another in the form, which is a malformed request. */
const TWO_CLIENTS = 'client_id mismatch';

/**
 * Answers `invalid_client` if client authentication is missing, malformed or of an unknown kind (RFC 6749 §5.2, RFC
 * 7521 §4.2.1). The engine answers `invalid_request`, which is right only for two kinds at once.
 */
export function authenticateByName(engine: EngineStep): EngineStep {
  return async (context, next) => {
    try {
      await engine(context, () => Promise.resolve());
    } catch (error) {
      throw failedAuthentication(context, error);
    }
    await next();
  };
}

function failedAuthentication({ headers, oidc: { params } }: KoaContextWithOIDC, error: unknown): unknown {
  if (!(error instanceof errors.InvalidRequest) || error.error_description === TWO_CLIENTS) return error;
  const ways = [headers.authorization, params?.['client_assertion'], params?.['client_secret']].filter(Boolean);
  if (ways.length > 1) return error;
  const why = error.error_description ?? error.message;
  const failed = Object.assign(new errors.InvalidClientAuth(why), { error_description: why });
  // Nothing was tried, so there is nothing to challenge.
  return ways.length === 0 ? Object.assign(failed, { status: 400, statusCode: 400 }) : failed;
}
