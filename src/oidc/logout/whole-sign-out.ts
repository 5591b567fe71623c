import { Provider } from 'oidc-provider';

const SIGN_OUT: readonly string[] = ['end_session', 'end_session_confirm'];

/** Tells whether this request signs a person out. */
export function isSignOut(): boolean {
  return SIGN_OUT.includes(Provider.ctx?.oidc.route ?? '');
}

/** Tells whether it ends the whole session, and not only one app's part of it. */
export function isWholeSignOut(): boolean {
  return isSignOut() && Provider.ctx?.oidc.params?.['logout'] !== undefined;
}
