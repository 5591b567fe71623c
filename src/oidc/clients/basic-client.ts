import type { Context } from 'koa';
import { errors, type Client, type Provider, type KoaContextWithOIDC } from 'oidc-provider';
import type { EngineStep } from '../internals.ts';
import { policyOf } from './client-metadata.ts';
import type { SecretGuesses } from './secret-guesses.ts';

/**
 * Longest accepted `Authorization` header, in characters. Credentials that this server issues or accepts are shorter.
 */
const LONGEST = 4096;
const BY_SECRET: readonly string[] = ['client_secret_basic', 'client_secret_post'];

/**
 * Authenticates an operator's client by the secret in the `Authorization` header (RFC 6749 §2.3.1). Wrong secrets count
 * as guesses, as at the token endpoint. While guesses are slowed, a right secret is refused too. Self-registered
 * clients are ignored, because anybody can register one. @returns the client, or an error response for wrong
 * credentials, or undefined without the credentials of an operator's client
 */
export async function basicClient(
  provider: Provider,
  context: Context,
  guesses: Pick<SecretGuesses, 'admit'>,
): Promise<{ client: string } | { status: number; error: string; error_description: string } | undefined> {
  const header = context.get('Authorization');
  if (!/^basic /i.test(header)) return undefined;
  const credentials = header.length > LONGEST ? undefined : parseBasic(header.slice(6));
  try {
    const client = credentials && (await provider.Client.find(credentials.id));
    if (client !== undefined && (await hasSecret(client, credentials?.secret))) {
      await guesses.admit(context, client.clientId);
      return policyOf(client).isSelfDescribed ? undefined : { client: client.clientId };
    }
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error;
    return { status: error.statusCode, error: error.error, error_description: error.error_description ?? '' };
  }
  context.set('WWW-Authenticate', 'Basic realm="status", charset="UTF-8"');
  return { status: 401, error: 'invalid_client', error_description: 'client authentication failed' };
}

async function hasSecret(client: Client, secret = ''): Promise<boolean> {
  return BY_SECRET.includes(client.clientAuthMethod ?? '') && (await client.compareClientSecret(secret));
}

function parseBasic(text: string): { id: string; secret: string } | undefined {
  const [id = '', ...rest] = Buffer.from(text.trim(), 'base64').toString().split(':');
  try {
    const [name = '', secret = ''] = [id, rest.join(':')].map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
    return name === '' ? undefined : { id: name, secret };
  } catch {
    return undefined;
  }
}

/** The engine's message if the header and the form name different clients. Such a request is malformed. */
const TWO_CLIENTS = 'client_id mismatch';

/**
 * Answers `invalid_client` if client authentication is missing, malformed or of an unknown kind (RFC 6749 §5.2, RFC
 * 7521 §4.2.1). The engine answers `invalid_request`, which is right only if a request uses two methods or names two
 * clients.
 */
export function authenticateByName(engine: EngineStep): EngineStep {
  return async (context, next) => {
    try {
      await engine(context, () => Promise.resolve());
    } catch (error) {
      throw failedAuthentication(context, error);
    }
    await next();
  };
}

function failedAuthentication({ headers, oidc: { params } }: KoaContextWithOIDC, error: unknown): unknown {
  if (!(error instanceof errors.InvalidRequest) || error.error_description === TWO_CLIENTS) return error;
  const ways = [headers.authorization, params?.['client_assertion'], params?.['client_secret']].filter(Boolean);
  if (ways.length > 1) return error;
  const why = error.error_description ?? error.message;
  const failed = Object.assign(new errors.InvalidClientAuth(why), { error_description: why });
  // Without credentials there is no scheme to challenge, so the status is 400 instead of 401.
  return ways.length === 0 ? Object.assign(failed, { status: 400, statusCode: 400 }) : failed;
}
