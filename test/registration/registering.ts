import type { Config } from '../../src/config/schema.ts';
import { openInvitations } from '../../src/clients/invitations.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import type { TestServer } from '../support/server.ts';

export const REDIRECT = 'https://app.example/callback';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** Changes the demo's configuration so that anybody may register clients, for all that the demo has. */
export function openToAll(changes: Partial<Config['registration']> = {}): (config: Config) => Config {
  return (config) => ({
    ...config,
    registration: { ...config.registration, enabled: true, initial_access_token: 'none', ...changes },
  });
}

/** A request as JSON with a bearer token, where there is one. */
export async function send(
  url: string,
  options: { method?: string; token?: unknown; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { method = 'POST', token, body, headers } = options;
  const response = await fetch(url, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(typeof token === 'string' && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
    headers: response.headers,
  };
}

/** Registers what an app with a server would; the metadata goes over it. */
export function register(
  { issuer }: Pick<TestServer, 'issuer'>,
  metadata: object = {},
  options: { token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return send(`${issuer}/register`, { body: { redirect_uris: [REDIRECT], ...metadata }, ...options });
}

/** What an operator gives to somebody who shall register a client. */
export async function invite({ config }: TestServer, { uses = 1, ttl = 3600 } = {}): Promise<string> {
  const stores = await openStores(config.stores, systemClock);
  try {
    return await openInvitations({ records: stores.records, clock: systemClock, random: systemRandom }).make({
      uses,
      ttl,
    });
  } finally {
    await stores.close();
  }
}
