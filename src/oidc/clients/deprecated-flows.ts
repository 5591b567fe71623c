import type { Config, ClientConfig } from '../../config/schema.ts';

type ResponseType = Config['deprecated']['response_types'][number];

type Settings = Pick<Config, 'clients' | 'deprecated' | 'registration'>;

/**
 * Returns the response types that the server offers: `code`, and those that the configuration enables for the server,
 * for self-registration or for a client.
 */
export function responseTypesOf({ clients, deprecated, registration }: Settings): ResponseType[] {
  return [
    ...new Set<ResponseType>([
      'code',
      ...deprecated.response_types,
      ...(registration.enabled ? registration.response_types : []),
      ...clients.flatMap((client) => client.response_types ?? []),
    ]),
  ];
}

/**
 * Tells whether the server offers the password grant. It does so only if the operator enables it, or configures a
 * client for it.
 */
export function takesPasswords({ clients, deprecated }: Settings): boolean {
  return deprecated.password_grant || clients.some((client) => client.grant_types?.includes('password'));
}

/** Lists the grant and response types of a client that RFC 9700 advises against (§2.1.2 and §2.4). */
export function deprecatedUses(client: Pick<ClientConfig, 'grant_types' | 'response_types'>): string[] {
  const password = client.grant_types?.includes('password') === true ? ['grant type password'] : [];
  const types = client.response_types?.filter((type) => type !== 'code') ?? [];
  return [...password, ...types.map((type) => `response type ${type}`)];
}
