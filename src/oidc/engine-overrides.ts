import type { Provider } from 'oidc-provider';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Clients } from '../clients/clients.ts';
import { CIBA_GRANT, DEVICE_GRANT } from '../config/sections/client-schema.ts';
import type { Config } from '../config/schema.ts';
import type { Announce, Revoke } from '../events/events.ts';
import type { AnsweredForms } from '../forms/answered-forms.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Outgoing } from '../outgoing/outgoing.ts';
import type { Revoker } from '../status/revoker.ts';
import type { Store } from '../storage/store.ts';
import { beginForm } from './answered-forms.ts';
import { pingWithoutFail } from './backchannel-requests.ts';
import { noteCall, noteKeyFetch, type ClientCalls } from './clients/client-calls.ts';
import {
  leaveOutDisabled,
  grantTypeAllowed,
  responseTypeAllowed,
  withinRegistration,
  keepRegisteredQuery,
} from './clients/registration-rules.ts';
import { authenticateByName } from './clients/basic-client.ts';
import { compareSecret, type SecretGuesses } from './clients/secret-guesses.ts';
import { holdError, postLogoutRedirectAllowed } from './clients/unvetted-clients.ts';
import { addInterval } from './device/device-pages.ts';
import { showWireError } from './engine-events.ts';
import type { EngineOverride } from './engine-override.ts';
import type { Owner } from './engine-members.ts';
import type { GrantHandler } from './internals.ts';
import { destroyAccessToken, findAccessToken, acceptUnlessEncrypted } from './jwt-access-tokens.ts';
import { tellLater, type BackChannelLogout } from './logout/back-channel-logout.ts';
import { noteEnded } from './logout/front-channel-logout.ts';
import { watchAnswers, watchErrors, watchSignOut } from './logout/session-management.ts';
import { askWithoutClient, endOrStay, passOverUnusable } from './logout/sign-out-steps.ts';
import { urlForCalled } from './published-documents.ts';
import { endSession } from './one-revocation.ts';
import { pacePolling } from './polling.ts';
import { expectedAudience } from './requests/client-jwts.ts';
import { validateHint, setUnlessNonce } from './requests/id-tokens.ts';
import { resultWithOperatorClaims } from './requests/token-claims.ts';
import { unlessOtherScheme } from './presented-access-token.ts';
import { nameRequestAudience } from './requests/request-objects.ts';
import { checkScope, clientCredentialsScope } from './requests/requested-scopes.ts';
import { saveEntered } from './requests/token-status.ts';
import { limitGuesses } from './device/user-code-guesses.ts';

export interface OverrideDependencies {
  provider: Provider;
  config: Config;
  ring: RingSnapshot;
  grants: Store;
  clients: Pick<Clients, 'isDisabled'>;
  secretGuesses: Pick<SecretGuesses, 'compare'>;
  subjectNames: SubjectNames;
  status: Pick<Revoker, 'isRevoked'>;
  forms: AnsweredForms;
  logouts: Pick<BackChannelLogout, 'sendBy' | 'tell'>;
  refresh: { handle(context: Parameters<GrantHandler>[0], engine: GrantHandler): Promise<void> };
  calls: Pick<ClientCalls, 'noted'>;
  outgoing: Outgoing;
  announce: Announce;
  revoke: Revoke;
  clock: Clock;
  random: Random;
}

type Row = EngineOverride<OverrideDependencies>;

const ENDPOINTS = [
  'authorization',
  'device_authorization',
  'pushed_authorization_request',
  'backchannel_authentication',
] as const;

/** Endpoints at which clients authenticate. */
const AUTHENTICATED = [
  ...ENDPOINTS.filter((route) => route !== 'authorization'),
  'token',
  'introspection',
  'revocation',
];

/** Makes a row of the table. @param why the specification and section; `docs/engine.md` says more */
function row(owner: Owner, method: string, arity: Row['arity'], why: string, install: Row['install']): Row {
  return { owner, method, arity, why, install };
}

/**
 * Every engine method that the server replaces or wraps, and every listener that changes an answer. Of two rows for one
 * method, the later one wraps the earlier one. `docs/engine.md` explains each of them.
 */
export const engineOverrides: readonly Row[] = [
  // Clients
  row('Client', 'find', 1, 'RFC 6749 §2: a disabled client is unknown on every node', leaveOutDisabled),
  row('Client', 'find', 1, 'RP-Initiated Logout 1.0 §2: an unusable client holds nobody', passOverUnusable),
  row('Client.prototype', 'compareClientSecret', 1, 'RFC 6749 §2.3.1: hashed secrets, slow guesses', compareSecret),
  row('Client.prototype', 'grantTypeAllowed', 1, 'RFC 6749 §5.2: unauthorized_client', () => grantTypeAllowed),
  row('Client.prototype', 'responseTypeAllowed', 1, 'RFC 6749 §4.1.2.1: by name', () => responseTypeAllowed),
  row('Client.prototype', 'scope', 'none', 'RFC 6749 §3.3: no list of scopes does not mean all', () => ' '),
  row('Client.prototype', 'includeSid', 0, 'Back-Channel Logout 1.0 §2.1: sid in each ID token', () => always),
  row('Client.prototype', 'postLogoutRedirectUriAllowed', 1, 'RFC 9700 §4.11.2', postLogoutRedirectAllowed),
  row('Client.prototype', 'backchannelLogout', 2, 'RFC 9700 §4.11: the list is for the operator', noteCall),
  row('Client.prototype', 'backchannelLogout', 2, 'Back-Channel Logout 1.0 §2.5: sent again', tellLater),
  row('Client.prototype', 'backchannelPing', 1, 'RFC 9700 §4.11: the list is for the operator', noteCall),
  row('Client.prototype', 'backchannelPing', 1, 'CIBA Core 1.0 §10.2: the answer holds', pingWithoutFail),
  ...AUTHENTICATED.map((route) =>
    row(`steps of ${route}`, 'authenticateClient', 2, 'RFC 6749 §5.2: invalid_client', authenticateByName),
  ),
  row('ClientKeyStore.prototype', 'refresh', 0, 'RFC 7591 §2: keys by the rules for their client', noteKeyFetch),

  // Requests
  row('OIDCContext.prototype', 'urlFor', 2, 'RFC 8705 §5: the alias that was called', urlForCalled),
  row('OIDCContext.prototype', 'getAccessToken', 0, 'RFC 6750 §3.1: no error without a token', unlessOtherScheme),
  row('OIDCContext.prototype', 'clientJwtAuthExpectedAudience', 0, 'rfc7523bis §4', () => expectedAudience),
  ...ENDPOINTS.flatMap((route): Row[] => [
    row(`steps of ${route}`, 'processRequestObject', 2, 'RFC 9101 §4: names the audience', nameRequestAudience),
    row(`steps of ${route}`, 'checkScope', 2, 'RFC 6749 §3.3; OpenID Connect Core §11', checkScope),
  ]),
  row('event', 'authorization.error', 2, 'RFC 9700 §4.11.2: no error leads to an unvetted app', () => holdError),
  row('response mode', 'query', 3, 'RFC 6749 §3.1.2: the registered query stays', keepRegisteredQuery('query')),
  row('response mode', 'query.jwt', 3, 'JARM §2.3.1: the registered query stays', keepRegisteredQuery('query.jwt')),
  row('response mode', 'jwt', 3, 'JARM §2.3.4: the registered query stays', keepRegisteredQuery('jwt')),

  // Grants
  row('grant', 'refresh_token', 1, 'RFC 9700 §4.14.2: no lost answer, no missed replay', refreshBy),
  row('grant', 'client_credentials', 1, 'RFC 6749 §3.3: no scope means its own', clientCredentialsScope),
  row('grant', DEVICE_GRANT, 1, 'RFC 8628 §3.5: slow_down', pacePolling('device_code')),
  row('grant', CIBA_GRANT, 1, 'CIBA Core 1.0 §11: slow_down', pacePolling('auth_req_id')),
  row('Grant.prototype', 'getOIDCScopeFiltered', 1, 'RFC 6749 §3.3: as it is registered now', withinRegistration),
  row('DeviceCode', 'findByUserCode', 1, 'RFC 8628 §5.1: slow guesses', limitGuesses),
  row('DeviceCode', 'findByUserCode', 1, 'RFC 8628 §3.3: a form sent twice is answered once', beginForm),
  row('event', 'device_authorization.success', 2, 'RFC 8628 §3.2: interval', () => addInterval),

  // Tokens
  row('AccessToken', 'find', 0, 'RFC 7662 §2.1, RFC 7009 §2.1: JWTs too', findAccessToken('AccessToken')),
  row('ClientCredentials', 'find', 1, 'RFC 7662 §2.1, RFC 7009 §2.1: JWTs too', findAccessToken('ClientCredentials')),
  row('AccessToken.prototype', 'save', 0, 'Token Status List §6.2: indexed before it is issued', saveEntered),
  row('ClientCredentials.prototype', 'save', 0, 'Token Status List §6.2: as for people', saveEntered),
  row('AccessToken.prototype', 'destroy', 0, 'RFC 7009 §2.1: revoked alone', destroyAccessToken),
  row('ClientCredentials.prototype', 'destroy', 0, 'RFC 7009 §2.1: revoked alone', destroyAccessToken),
  row('steps of introspection', 'rejectStructuredTokens', 2, 'RFC 7662 §2.1: JWTs too', acceptUnlessEncrypted),
  row('steps of revocation', 'rejectStructuredTokens', 2, 'RFC 7009 §2.1: JWTs too', acceptUnlessEncrypted),
  row('IdToken', 'validate', 2, 'RFC 8725 §3.12: a hint is an ID token and no other JWT', validateHint),
  row('IdToken.prototype', 'set', 2, 'OpenID Connect Core §12.2: no nonce in a refreshed ID token', setUnlessNonce),
  row('Claims.prototype', 'result', 0, 'OpenID Connect Core §5.1.2: claims by the operator', resultWithOperatorClaims),

  // Sessions and sign-out
  row('Session.prototype', 'destroy', 0, 'Back-Channel Logout 1.0 §2.7: revokes what it issued', endSession),
  row('steps of end_session', 'endSessionChecks', 2, 'RP-Initiated Logout 1.0 §4: no client', askWithoutClient),
  row('steps of end_session_confirm', 'endSession', 1, 'RP-Initiated Logout 1.0 §2, §3', endOrStay),
  row('event', 'end_session.success', 1, 'Front-Channel Logout 1.0 §3: frames', ifFrontChannelLogoutIsOn(noteEnded)),
  row('event', 'end_session.success', 1, 'Session Management 1.0 §3.2: nobody is signed in', watchSignOut),
  row('event', 'authorization.error', 2, 'Session Management 1.0 §3.2: who is signed in', watchErrors),
  row('event', 'authorization.success', 2, 'Session Management 1.0 §2: session_state', watchAnswers),
  row('event', 'server_error', 2, 'RFC 6749 §4.1.2.1: an outage, or a fault with its number', () => showWireError),
];

function always(): boolean {
  return true;
}

function refreshBy(engine: GrantHandler, { refresh }: OverrideDependencies): GrantHandler {
  return (context) => refresh.handle(context, engine);
}

/** Adds the listener only if front-channel logout is enabled. */
function ifFrontChannelLogoutIsOn(listener: unknown) {
  return (_engine: unknown, { config }: OverrideDependencies) =>
    config.sessions.front_channel_logout ? listener : undefined;
}
