import type { Configuration } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import { STATUS_ROUTES } from '../status/routes.ts';
import { CHECK_SESSION } from './logout/session-management.ts';

export const routes = {
  authorization: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  introspection: '/introspect',
  revocation: '/revoke',
  end_session: '/logout',
  pushed_authorization_request: '/par',
  device_authorization: '/device_authorization',
  code_verification: '/device',
  backchannel_authentication: '/backchannel_authentication',
} as const;

/** The engine's names for two cookies that are never sent to a browser. */
export const ENGINE_COOKIES = { interaction: 'interaction', resume: 'resume' } as const;

/** Returns the name of the session cookie. */
export function sessionCookie({ secure }: { secure: boolean }): string {
  return secure ? '__Host-session' : 'latchkey_session';
}

/**
 * Returns the engine's routes, and members of the metadata document for endpoints of this server's own, such as
 * registration.
 */
export function endpoints({ issuer, registration, sessions }: Config): Pick<Configuration, 'routes' | 'discovery'> {
  const frontChannel = { frontchannel_logout_supported: true, frontchannel_logout_session_supported: true };
  return {
    routes,
    discovery: {
      status_list_aggregation_endpoint: issuer + STATUS_ROUTES.aggregation,
      status_events_endpoint: issuer + STATUS_ROUTES.events,
      ...(registration.enabled && { registration_endpoint: `${issuer}/register` }),
      ...(sessions.front_channel_logout && frontChannel),
      ...(sessions.session_management && { check_session_iframe: `${issuer}${CHECK_SESSION}` }),
    },
  };
}
