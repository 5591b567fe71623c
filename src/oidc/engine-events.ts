import type { errors, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import { TooBusy } from '../limits/semaphore.ts';
import type { Announce } from '../events/events.ts';
import { requestId } from '../http/request-facts.ts';
import { policyOf } from './clients/client-metadata.ts';
import { nameOfUnknownClient, wireErrorOf } from './error-pages.ts';

const refusals = [
  'authorization.error',
  'grant.error',
  'introspection.error',
  'revocation.error',
  'userinfo.error',
  'end_session.error',
  'end_session_confirm.error',
  'pushed_authorization_request.error',
  'device_authorization.error',
  'code_verification.error',
  'device_resume.error',
  'backchannel_authentication.error',
] as const;

/**
 * Turns the engine's events into domain events and log lines. The engine calls listeners synchronously, so none may
 * throw.
 */
export function reportEngineEvents(provider: Provider, announce: Announce, log: Logger): void {
  const refused = (context: KoaContextWithOIDC, error: errors.OIDCProviderError): void => {
    const { route, client } = context.oidc;
    const name = nameOfUnknownClient(context, error);
    const reason = error.error_detail ?? error.error_description ?? error.message;
    announce({
      type: 'request.refused',
      requestId: requestId(context),
      endpoint: route,
      client: client?.clientId,
      error: error.error,
      reason: name === undefined ? reason : `${reason}: "${name}"`,
    });
  };
  for (const name of refusals) (provider as NodeJS.EventEmitter).on(name, refused);
  // Without this listener, Koa would print a stack trace, for example if a caller disconnects early.
  (provider as NodeJS.EventEmitter).on('error', (error: Error) => {
    log.debug({ err: error }, 'an answer could not be sent');
  });
  provider.on('server_error', (context, error) => {
    const line = { requestId: requestId(context) };
    // Strangers can fill the queue for password hashing, so a full queue is no fault. Every other error here is a fault
    // of this server or a backend.
    if (error instanceof TooBusy) log.info({ ...line, reason: error.message }, 'a request was refused');
    else log.error({ ...line, err: error }, 'a request failed');
  });
}

/** Reports each successful token request of a self-registered client, so that its registration is renewed. */
export function reportClientUse(provider: Provider, used: (clientId: string) => void): void {
  provider.on('grant.success', ({ oidc: { client } }) => {
    if (client !== undefined && policyOf(client).isSelfDescribed) used(client.clientId);
  });
}

/**
 * Replaces the engine's JSON response after a failure of this server, to tell an outage from a fault and to name the
 * request. An HTML page already does both.
 */
export function showWireError(context: KoaContextWithOIDC, error: Error): void {
  if (context.body === undefined || typeof context.body === 'string') return;
  const face = wireErrorOf(error);
  context.status = face.status;
  context.body = { error: face.error, error_description: `${face.message} Request ${requestId(context)}.` };
}
