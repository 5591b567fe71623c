import type { Context } from 'koa';
import { type Client, isClientSecret } from '../clients/clients.ts';
import type { Invitations } from '../clients/invitations.ts';
import type { RegisteredClients, OpenClient } from '../clients/registered-clients.ts';
import { metadataOf, selfDescribedClient, type Metadata } from '../clients/self-description.ts';
import { pathText } from '../config/problems.ts';
import { isMapping } from '../config/schema-reflection.ts';
import type { ClientConfig, Config } from '../config/schema.ts';
import type { Announce, Revoke } from '../events/events.ts';
import { Refusal } from '../http/refusal.ts';
import { readJson } from '../http/request-body.ts';
import { clientAddress } from '../http/request-facts.ts';
import { tokenChallenge } from '../http/response-headers.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { newId } from '../lib/ids.ts';
import { secretToken, type Random } from '../lib/random.ts';
import type { SoftwareStatements } from './software-statements.ts';

export interface RegistrationDependencies {
  config: Config;
  registered: RegisteredClients;
  invitations: Invitations;
  statements: SoftwareStatements;
  /** Validates the client with the OAuth engine. @throws Error with the reason for a refusal */
  accept: (client: Client) => Promise<void>;
  /** Counts a request from an address. @throws Refusal if the address has sent too many */
  limitAddress: (address: string) => Promise<void>;
  announce: Announce;
  revoke: Revoke;
  clock: Clock;
  random: Random;
}

/** Answers a Client Registration Request (RFC 7591 §3.1). */
export async function register(dependencies: RegistrationDependencies, context: Context): Promise<void> {
  const { config, registered, invitations, clock, random } = dependencies;
  const { initial_access_token: access } = config.registration;
  await dependencies.limitAddress(clientAddress(context));
  const invitation = bearerToken(context);
  const needsInvitation = access === 'required';
  if (needsInvitation && !(await invitations.isGood(invitation))) throw tokenRefused(context, 'no such invitation');
  const metadata = await readMetadata(context);
  const { claims, statement, issuer } = await dependencies.statements.read(metadata);
  const clientId = newId('client', clock, random);
  const client = await describe(dependencies, clientId, { ...metadata, ...claims });

  if (!(await registered.makeRoom()))
    throw new Refusal('temporarily_unavailable', 'no more clients can register for now');
  // The invitation is used up last, so that a mistake in the request does not cost it.
  if (needsInvitation && !(await invitations.use(invitation)))
    throw tokenRefused(context, 'the invitation has just been used');
  const accessToken = secretToken(random);
  const saved = await registered.add(client, {
    issued_at: epochSeconds(clock),
    access_token_hash: sha256(accessToken),
    ...(statement !== undefined && { software_statement: statement }),
  });
  dependencies.announce({
    type: 'client.registered',
    client: clientId,
    name: client.client_name,
    address: clientAddress(context),
    invited: needsInvitation,
    ...(issuer !== undefined && { vouchedBy: issuer }),
  });
  context.status = 201;
  context.body = answer(config.issuer, saved, accessToken, client.secret?.reveal());
}

/** Reads and validates the client's metadata. @throws Refusal that lists every fault */
async function describe(
  { config, accept, random }: RegistrationDependencies,
  clientId: string,
  metadata: Metadata,
): Promise<ClientConfig> {
  const given = { clientId, secret: secretToken(random), reach: config.registration, config, isDocument: false };
  const read = selfDescribedClient(metadata, given);
  if ('faults' in read) {
    const message = read.faults.map(({ path, message }) => `${pathText(path)} ${message}`).join('; ');
    const isAboutRedirects = read.faults.every(({ path }) => path[0] === 'redirect_uris');
    throw new Refusal(isAboutRedirects ? 'invalid_redirect_uri' : 'invalid_client_metadata', printable(message));
  }
  const { secret, previous_secret: _none, ...client } = read.value;
  await accept({ ...client, ...(secret && { secret_hash: 'to be' }) }).catch((error: unknown) => {
    const { error_description: why } = error as { error_description?: string };
    if (why === undefined) throw error;
    throw new Refusal('invalid_client_metadata', printable(why));
  });
  return read.value;
}

/** Replaces the characters that RFC 6749 §5.2 does not allow in a description. */
function printable(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, '?').slice(0, 500);
}

/** Builds the Client Information Response (RFC 7591 §3.2.1). */
function answer(issuer: string, client: Client, accessToken: string, secret: string | undefined): Metadata {
  return {
    ...metadataOf(client),
    ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    registration_access_token: accessToken,
    registration_client_uri: `${issuer}/register/${client.client_id}`,
  };
}

/** Returns the bearer token of a request (RFC 6750 §2.1), or an empty text if there is none. */
function bearerToken(context: Context): string {
  return /^Bearer +([\w~+/.=-]+)$/i.exec(context.get('Authorization'))?.[1] ?? '';
}

/** Members that only the server sets; RFC 7592 §2.2 forbids them in an update. */
const OURS = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
] as const;

/**
 * Guards client management. A registration access token is valid only for its own client.
 * @throws Refusal with the same answer for a wrong token and an unknown client (RFC 7592 §2)
 */
export async function openOwn({ registered }: RegistrationDependencies, context: Context): Promise<OpenClient> {
  const clientId = String((context['params'] as Record<string, unknown>)['client']);
  const open = await registered.open(clientId, bearerToken(context));
  if (open === undefined)
    throw tokenRefused(context, `not the registration access token of ${JSON.stringify(clientId)}`);
  return open;
}

/**
 * Answers a read request (RFC 7592 §2.1). The response has no client secret, because the server stores only its hash.
 */
export function read({ config }: RegistrationDependencies, context: Context, { client }: OpenClient): void {
  context.body = answer(config.issuer, client, bearerToken(context), undefined);
}

/**
 * Answers an update request (RFC 7592 §2.2). Omitted members are removed. The access token stays the same, because a
 * lost response must not lock the client out.
 */
export async function change(
  dependencies: RegistrationDependencies,
  context: Context,
  open: OpenClient,
): Promise<void> {
  const metadata = await readMetadata(context);
  const { client: before } = open;
  refuseForeignValues(metadata, open);
  const { claims, statement } = await dependencies.statements.read(metadata, before.registration?.software_statement);
  const described = await describe(dependencies, before.client_id, { ...metadata, ...claims });
  const after = await open.replace(described, statement);
  if (after === undefined) throw tokenRefused(context, 'the registration changed meanwhile');
  dependencies.announce({ type: 'client.updated', client: after.client_id, address: clientAddress(context) });
  const isNewSecret = before.secret_hash === undefined;
  context.body = answer(
    dependencies.config.issuer,
    after,
    bearerToken(context),
    isNewSecret ? described.secret?.reveal() : undefined,
  );
}

function refuseForeignValues(metadata: Metadata, { client }: OpenClient): void {
  const ours = OURS.find((name) => metadata[name] !== undefined);
  if (ours !== undefined) throw new Refusal('invalid_request', `${ours} must be left out`);
  if (metadata['client_id'] !== client.client_id)
    throw new Refusal('invalid_request', 'client_id must be the id of this client');
  const { client_secret: secret } = metadata;
  if (secret === undefined) return;
  const isOwnSecret = typeof secret === 'string' && isClientSecret(client.secret_hash ?? '', secret);
  if (!isOwnSecret)
    throw new Refusal('invalid_request', 'client_secret must be left out, or be the secret of this client');
}

/**
 * Answers a delete request (RFC 7592 §2.3). The client's registration access token and everything that was issued to
 * the client become invalid.
 */
export async function remove(
  dependencies: RegistrationDependencies,
  context: Context,
  open: OpenClient,
): Promise<void> {
  await dependencies.revoke({ what: 'client', client: open.client.client_id }, 'client-deleted', () => open.remove());
  dependencies.announce({ type: 'client.deleted', client: open.client.client_id, address: clientAddress(context) });
  context.status = 204;
}

/** Reads the metadata that a client posts. @throws Refusal, or Problem if the body is too large or incomplete */
async function readMetadata(context: Context): Promise<Metadata> {
  if (context.is('application/json') === false)
    throw new Refusal('invalid_client_metadata', 'must be application/json');
  const metadata = await readJson(context.req);
  if (!isMapping(metadata)) throw new Refusal('invalid_client_metadata', 'must be a JSON object');
  return metadata;
}

/**
 * Gives the same answer for every invalid token, so that nobody learns which clients exist. A request without a token
 * is challenged without an error (RFC 6750 §3.1).
 */
function tokenRefused(context: Context, reason: string): Refusal {
  const headers = { 'WWW-Authenticate': tokenChallenge(context) };
  return new Refusal('invalid_token', 'the access token is missing, wrong or used up', { reason, headers });
}
