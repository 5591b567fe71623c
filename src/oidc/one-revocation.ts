import { Provider, type Adapter, type Session } from 'oidc-provider';
import type { RevocationCause, Revoke } from '../events/revocations.ts';
import { isSignOut, isWholeSignOut } from './logout/whole-sign-out.ts';

/**
 * The engine revokes a grant model by model. Here it is one call of the one function that revokes, made for access tokens:
 * of all models, the one that the engine never leaves out.
 */
export function revokesGrants(adapter: Adapter, revoke: Revoke): Adapter {
  return {
    ...adapter,
    async revokeByGrantId(grant) {
      // The session takes its grants with it.
      if (!isWholeSignOut()) await revoke({ what: 'grant', grant }, causeOf());
    },
  };
}

/** Revokes a session before the engine deletes its record. */
export function endSession(engine: () => Promise<void>, { revoke }: { revoke: Revoke }) {
  return async function destroy(this: Session): Promise<void> {
    // One of a stranger leads to nothing.
    if (this.accountId !== undefined) await revoke({ what: 'session', session: this.uid }, 'signed-out');
    await engine.call(this);
  };
}

/** At the token endpoint nobody asks for it: a code or a refresh token came a second time. */
function causeOf(): RevocationCause {
  const { route, params } = Provider.ctx?.oidc ?? {};
  if (isSignOut()) return 'signed-out';
  if (route !== 'token') return 'token-revoked';
  return params?.['grant_type'] === 'refresh_token' ? 'refresh-token-replayed' : 'code-replayed';
}
