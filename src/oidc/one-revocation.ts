import { Provider } from 'oidc-provider';
import type { RevocationCause, Revoke } from '../events/revocations.ts';
import { isSignOut, isWholeSignOut } from './logout/whole-sign-out.ts';

/**
 * The engine takes a grant back model by model, and a session with its grants one by one. Here each is one call of the
 * one function that takes things back, and the engine's own deletions are left out.
 */
export function revokeInOnePlace(provider: Provider, revoke: Revoke): void {
  const { AccessToken, RefreshToken, AuthorizationCode, DeviceCode, BackchannelAuthenticationRequest } = provider;
  const { Session } = provider;
  for (const model of [RefreshToken, AuthorizationCode, DeviceCode, BackchannelAuthenticationRequest])
    model.revokeByGrantId = () => Promise.resolve();
  // Of all models, the one that the engine never leaves out.
  AccessToken.revokeByGrantId = async (grant) => {
    // The session takes its grants with it.
    if (!isWholeSignOut()) await revoke({ what: 'grant', grant }, causeOf());
  };
  const destroy = Reflect.get<InstanceType<typeof Session>, 'destroy'>(Session.prototype, 'destroy');
  Session.prototype.destroy = async function endSession() {
    // One of a stranger leads to nothing.
    if (this.accountId !== undefined) await revoke({ what: 'session', session: this.uid }, 'signed-out');
    await destroy.call(this);
  };
}

/** At the token endpoint nobody asks for it: a code or a refresh token came a second time. */
function causeOf(): RevocationCause {
  const { route, params } = Provider.ctx?.oidc ?? {};
  if (isSignOut()) return 'signed-out';
  if (route !== 'token') return 'token-revoked';
  return params?.['grant_type'] === 'refresh_token' ? 'refresh-token-replayed' : 'code-replayed';
}
