import { Provider, type Adapter, type Session } from 'oidc-provider';
import type { RevocationCause, Revoke } from '../events/events.ts';
import { isSignOut, isWholeSignOut } from './logout/back-channel-logout.ts';

/**
 * Revokes a whole grant in one call, where the engine revokes one model after another. The hook is on the access token
 * adapter, because the engine never omits that model.
 */
export function revokesGrants(adapter: Adapter, revoke: Revoke): Adapter {
  return {
    ...adapter,
    async revokeByGrantId(grant) {
      // At the end of a whole session, `endSession` revokes the session with all of its grants.
      if (!isWholeSignOut()) await revoke({ what: 'grant', grant }, causeOf());
    },
  };
}

/** Revokes a session before the engine deletes its record. */
export function endSession(engine: () => Promise<void>, { revoke }: { revoke: Revoke }) {
  return async function destroy(this: Session): Promise<void> {
    // A session without sign-in has no grants.
    if (this.accountId !== undefined) await revoke({ what: 'session', session: this.uid }, 'signed-out');
    await engine.call(this);
  };
}

/**
 * Derives the cause of a revocation from the request. A client cannot ask for a revocation at the token endpoint, so
 * the cause there is a code or refresh token that was used a second time.
 */
function causeOf(): RevocationCause {
  const { route, params } = Provider.ctx?.oidc ?? {};
  if (isSignOut()) return 'signed-out';
  if (route !== 'token') return 'token-revoked';
  return params?.['grant_type'] === 'refresh_token' ? 'refresh-token-replayed' : 'code-replayed';
}
