const { ErrorResponse, InMemoryWebStorage, UserManager, WebStorageStateStore } = globalThis.oidc;

// Errors by which the server says that it needs the person to continue (OpenID Connect Core §3.1.2.6).
const NEEDS_PERSON = new Set([
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
]);

export async function loadConfig() {
  const response = await fetch('/config.json');
  return response.json();
}

export function createManager({ issuer, clientId, origin, scope, api }) {
  return new UserManager({
    authority: issuer,
    client_id: clientId,
    scope,
    resource: api,
    redirect_uri: `${origin}/callback`,
    silent_redirect_uri: `${origin}/silent`,
    post_logout_redirect_uri: `${origin}/`,
    // The page keeps the tokens in memory only. A script that reads the browser's storage finds none,
    // and each load of the page asks the server again whether somebody is signed in.
    userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
    // If the person signs in to another account in the other app, this app changes to that account too.
    validateSubOnSilentRenew: false,
    requestTimeoutInSeconds: 8,
    silentRequestTimeoutInSeconds: 8,
  });
}

/**
 * Asks the server, in a hidden frame, whether the session is still active, and gets new tokens if it is.
 * Resolves to whether somebody is signed in, and rejects if the server does not tell.
 */
export async function signInSilently(manager, issuer) {
  await assertReachable(issuer);
  try {
    // The session alone counts, because a refresh token may outlive it.
    await manager.signinSilent({ forceIframeAuth: true });
    return true;
  } catch (error) {
    if (isRefusal(error) && NEEDS_PERSON.has(error.error)) return false;
    throw error;
  }
}

/** Throws if the server does not answer. A hidden frame could not tell a server that is down from a slow one. */
export async function assertReachable(issuer) {
  try {
    await fetch(`${issuer}/.well-known/openid-configuration`, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
  } catch {
    throw new Error(`Latchkey, at ${issuer}, does not answer. Is it running?`);
  }
}

/** Tells whether the server itself refused, by an OAuth 2.0 error. */
export function isRefusal(error) {
  return error instanceof ErrorResponse;
}

/** Returns the message for a failed sign-in. */
export function problemOf(error) {
  if (!isRefusal(error)) return error.message;
  if (error.error === 'access_denied') return 'The sign-in was cancelled.';
  return `The sign-in was refused: ${error.error_description ?? error.error}.`;
}
