import type { Context } from 'koa';
import { isClientSecret } from '../clients/clients.ts';
import type { OpenClient } from '../clients/registered-clients.ts';
import type { Metadata } from '../clients/self-description.ts';
import { clientAddress } from '../http/client-address.ts';
import { readMetadata } from './metadata-body.ts';
import { answer, bearerToken, describe, type RegistrationParts } from './register.ts';
import { Refusal, tokenRefused } from './refusal.ts';

/** Members that only the server sets; RFC 7592 §2.2 forbids them in an update. */
const OURS = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
] as const;

/**
 * Guards client management: an access token is valid for its own client only. @throws Refusal with the same answer for
 * a wrong token and an unknown client (RFC 7592 §2)
 */
export async function openOwn({ registered }: RegistrationParts, context: Context): Promise<OpenClient> {
  const clientId = String((context['params'] as Record<string, unknown>)['client']);
  const open = await registered.open(clientId, bearerToken(context));
  if (open === undefined)
    throw tokenRefused(context, `not the registration access token of ${JSON.stringify(clientId)}`);
  return open;
}

/** RFC 7592 §2.1. The secret is stored only as a hash, so it is not returned. */
export function read({ config }: RegistrationParts, context: Context, { client }: OpenClient): void {
  context.body = answer(config.issuer, client, bearerToken(context), undefined);
}

/**
 * RFC 7592 §2.2: omitted members are removed. The access token stays, because a lost response must not lock the client
 * out.
 */
export async function change(parts: RegistrationParts, context: Context, open: OpenClient): Promise<void> {
  const metadata = await readMetadata(context);
  const { client: before } = open;
  refuseForeignValues(metadata, open);
  const { claims, statement } = await parts.statements.read(metadata, before.registration?.software_statement);
  const described = await describe(parts, before.client_id, { ...metadata, ...claims });
  const after = await open.replace(described, statement);
  if (after === undefined) throw tokenRefused(context, 'the registration changed meanwhile');
  parts.announce({ type: 'client.updated', client: after.client_id, address: clientAddress(context) });
  const isNewSecret = before.secret_hash === undefined;
  context.body = answer(
    parts.config.issuer,
    after,
    bearerToken(context),
    isNewSecret ? described.secret?.reveal() : undefined,
  );
}

function refuseForeignValues(metadata: Metadata, { client }: OpenClient): void {
  const ours = OURS.find((name) => metadata[name] !== undefined);
  if (ours !== undefined) throw new Refusal('invalid_request', `${ours} must be left out`);
  if (metadata['client_id'] !== client.client_id) throw new Refusal('invalid_request', 'client_id must be its own');
  const { client_secret: secret } = metadata;
  if (secret === undefined) return;
  const isIts = typeof secret === 'string' && isClientSecret(client.secret_hash ?? '', secret);
  if (!isIts) throw new Refusal('invalid_request', 'client_secret must be left out or its own');
}

/** RFC 7592 §2.3. Its access token ends with it, and everything that was issued to it is revoked. */
export async function remove(parts: RegistrationParts, context: Context, open: OpenClient): Promise<void> {
  await parts.revoke({ what: 'client', client: open.client.client_id }, 'client-deleted', () => open.remove());
  parts.announce({ type: 'client.deleted', client: open.client.client_id, address: clientAddress(context) });
  context.status = 204;
}
