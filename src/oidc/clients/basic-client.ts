import type { Context } from 'koa';
import { errors, type Client, type Provider } from 'oidc-provider';
import { policyOf } from './client-metadata.ts';
import type { SecretGuesses } from './secret-guesses.ts';

/** Longer than any credentials that this server issues or accepts. */
const LONGEST = 4096;
const BY_SECRET: readonly string[] = ['client_secret_basic', 'client_secret_post'];

/**
 * Authenticates an operator's client by the secret in the `Authorization` header (RFC 6749 §2.3.1). Wrong secrets count
 * as at the token endpoint, and a right one reveals no more than there. A self-registered client is ignored, because
 * any stranger can make one. @returns the client, the answer to wrong credentials, or undefined without credentials
 * that count here
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
