import type { Logger } from 'pino';
import { errors, Provider, type Client, type Grant } from 'oidc-provider';
import type { Revoke } from '../events/revocations.ts';
import type { Outgoing } from '../outgoing/outgoing.ts';
import { engineConfiguration, type EngineParts } from './configuration.ts';
import { pingWithoutFail } from './backchannel-requests.ts';
import { clientCalls } from './clients/client-calls.ts';
import { policyOf } from './clients/client-metadata.ts';
import { completeDeviceFlow } from './device-flow.ts';
import { leaveOutDisabledClients } from './clients/disabled-clients.ts';
import { reportClientUse, reportEngineEvents } from './engine-events.ts';
import type { GrantType } from './grant-type.ts';
import { verifyHintsBy } from './internals.ts';
import { knowJwtAccessTokens } from './jwt-access-tokens.ts';
import { answerAtMtlsAliases } from './mtls-aliases.ts';
import { revokeInOnePlace } from './one-revocation.ts';
import './logout/sign-out-steps.ts';
import { passOverUnusableClients } from './logout/unusable-clients.ts';
import { compareAudiences } from './requests/assertion-audience.ts';
import { isIdToken } from './requests/issued-jwt.ts';
import { nameRequestAudience } from './requests/request-objects.ts';
import { sayAdded } from './requests/mapped-claims.ts';
import { completeScopes } from './requests/requested-scopes.ts';
import { keepRegisteredQuery } from './registered-query.ts';
import { resumeByRecord } from './resumed-requests.ts';
import { giveOnlyEntered } from './requests/token-status.ts';
import { pacePolling } from './polling.ts';
import { forgetRefusedProofs } from './storage/replay-adapter.ts';
import { limitGuesses } from './user-code-guesses.ts';
import { holdErrorsOfUnvettedClients, keepSignOutsOfUnvettedClients } from './clients/unvetted-client-redirects.ts';

/** Builds the engine for one snapshot of the key ring. Cheap enough to do again whenever the ring changes. */
export function createProvider(
  parts: Omit<EngineParts, 'calls'> & {
    outgoing: Outgoing;
    grantTypes: readonly GrantType[];
    log: Logger;
    /** Told of each token that a client which registered itself is given. */
    clientUsed: (clientId: string) => void;
    revoke: Revoke;
  },
): Provider {
  const calls = clientCalls(parts);
  const provider = new Provider(parts.config.issuer, engineConfiguration({ ...parts, calls }));
  calls.watch(provider);
  verifyHintsBy(provider, parts.ring.verifying);
  // The host has checked every forwarded header, and removed those of strangers.
  provider.proxy = true;
  answerAtMtlsAliases(provider, parts.config.listen.client_certificates);
  compareAudiences(provider);
  nameRequestAudience(provider);
  parts.secretGuesses.watch(provider);
  forgetRefusedProofs(provider);
  refuseGrantsByName(provider);
  takeOnlyIdTokensAsHints(provider);
  refuseResponseTypesByName(provider);
  for (const { name, handle, parameters, repeatable = [] } of parts.grantTypes)
    provider.registerGrantType(name, handle, [...parameters], [...repeatable]);
  completeDeviceFlow(provider);
  resumeByRecord(provider);
  keepRegisteredQuery(provider);
  limitGuesses(provider, parts);
  pacePolling(provider, parts);
  pingWithoutFail(provider, parts.announce);
  // The engine takes a client that is registered for none of its scopes for one that may have them all.
  Object.assign(provider.Client.prototype, { scope: ' ' });
  // The engine would name the session only to clients that listen for its end; logout by ID token needs it from all.
  provider.Client.prototype.includeSid = () => true;
  holdErrorsOfUnvettedClients(provider);
  keepSignOutsOfUnvettedClients(provider);
  leaveOutDisabledClients(provider, parts.clients);
  passOverUnusableClients(provider);
  takeScopesBack(provider);
  completeScopes(provider, parts.config.resources);
  revokeInOnePlace(provider, parts.revoke);
  giveOnlyEntered(provider);
  sayAdded(provider);
  knowJwtAccessTokens(provider, { ...parts, issuer: parts.config.issuer });
  reportEngineEvents(provider, parts.announce, parts.log);
  reportClientUse(provider, parts.clientUsed);
  return provider;
}

/** RFC 6749 §5.2 has an error of its own for a client that may not use a grant type; the engine calls it a bad request. */
function refuseGrantsByName(provider: Provider): void {
  const allowed = (client: Client, name: string) => client.grantTypes?.includes(name) === true;
  provider.Client.prototype.grantTypeAllowed = function grantTypeAllowed(name: string) {
    const oidc = Provider.ctx?.oidc;
    if (oidc?.route === 'token' && oidc.params?.['grant_type'] === name && !allowed(this, name))
      throw new errors.UnauthorizedClient(`the client is not registered for ${name}`);
    return allowed(this, name);
  };
}

/** The engine accepts every JWT that has the issuer, the audience, the subject and the key of an ID token. */
function takeOnlyIdTokensAsHints({ IdToken }: Provider): void {
  const validate = IdToken.validate.bind(IdToken);
  IdToken.validate = async (token, client) => {
    const hint = await validate(token, client);
    if (!isIdToken(hint)) throw new errors.InvalidRequest('the hint must be an ID token');
    return hint;
  };
}

/** RFC 6749 §4.1.2.1 tells a type that this client may not ask for from one that nobody may; the engine calls it a bad request. */
function refuseResponseTypesByName(provider: Provider): void {
  provider.Client.prototype.responseTypeAllowed = function responseTypeAllowed(type: string) {
    if (this.responseTypes?.some((own) => own === type)) return true;
    throw new errors.UnauthorizedClient(`the client is not registered for ${type}`);
  };
}

/** What a person once allowed counts as far as the client is still registered for it; the engine asks only at the start. */
function takeScopesBack({ Grant }: Provider): void {
  const filtered = Reflect.get<Grant, 'getOIDCScopeFiltered'>(Grant.prototype, 'getOIDCScopeFiltered');
  Grant.prototype.getOIDCScopeFiltered = function getOIDCScopeFiltered(filter: string[] | Set<string>) {
    const client = Provider.ctx?.oidc.client;
    if (client === undefined || client.clientId !== this.clientId) return filtered.call(this, filter);
    const { scopes } = policyOf(client);
    return filtered.call(this, new Set([...filter].filter((name) => scopes.includes(name))));
  };
}
