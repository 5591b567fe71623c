import { Provider, type Adapter, type Session } from 'oidc-provider';
import type { RevocationCause, Revoke } from '../events/events.ts';
import { isSignOut, isWholeSignOut } from './logout/back-channel-logout.ts';

/**
 * Revokes a grant in one call. The engine revokes model by model; this hook is on access tokens, the only model that
 * the engine never omits.
 */
export function revokesGrants(adapter: Adapter, revoke: Revoke): Adapter {
  return {
    ...adapter,
    async revokeByGrantId(grant) {
      // The session's end revokes its grants.
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

/** A revocation at the token endpoint is never requested: a code or refresh token was used a second time. */
function causeOf(): RevocationCause {
  const { route, params } = Provider.ctx?.oidc ?? {};
  if (isSignOut()) return 'signed-out';
  if (route !== 'token') return 'token-revoked';
  return params?.['grant_type'] === 'refresh_token' ? 'refresh-token-replayed' : 'code-replayed';
}
