import { Provider } from 'oidc-provider';

const SIGN_OUT: readonly string[] = ['end_session', 'end_session_confirm'];

/** Whether this request signs a person out. */
export function isSignOut(): boolean {
  return SIGN_OUT.includes(Provider.ctx?.oidc.route ?? '');
}

/** Whether it ends their session, and not the part of one app in it alone. */
export function isWholeSignOut(): boolean {
  return isSignOut() && Provider.ctx?.oidc.params?.['logout'] !== undefined;
}
