import type { Client, Grant, KoaContextWithOIDC, Session } from 'oidc-provider';
import type { Consent, Consents } from '../accounts/consents.ts';
import type { Config } from '../config/schema.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { keyspace, type Store } from '../storage/store.ts';
import { policyOf } from './clients/client-metadata.ts';
import { grantLife } from './lifetimes.ts';

/** Record of the first grant that a session has for an account and a client. */
const firstGrantKey = keyspace<{ grant: string }>('first-grant');

/** Seconds for which that record is kept: longer than concurrent first requests take. */
const FIRST = 60;

interface ExistingGrantDependencies {
  config: Pick<Config, 'tokens'>;
  consents: Consents;
  grants: Store;
  clock: Clock;
}

/** The parties of a grant, and the session that it belongs to. */
interface Between {
  client: Client;
  accountId: string;
  session: Session;
}

/**
 * Finds the grant of a client in this session, or makes one: from a remembered consent, or because the client is
 * first-party.
 */
export async function existingGrant(
  context: KoaContextWithOIDC,
  dependencies: ExistingGrantDependencies,
): Promise<Grant | undefined> {
  const { client, session, account } = context.oidc;
  if (client === undefined || session === undefined || account === undefined) return undefined;
  const between = { client, session, accountId: account.accountId };
  const grant = (await knownGrant(context, between)) ?? (await firstGrant(context, between, dependencies));
  if (grant === undefined) return undefined;
  const isWider = policyOf(client).firstParty && addRequestedAccess(context, grant);
  if (renew(grant, dependencies) || isWider) await grant.save();
  return grant;
}

async function knownGrant({ oidc }: KoaContextWithOIDC, { client, session }: Between): Promise<Grant | undefined> {
  const id = oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId);
  return id === undefined ? undefined : oidc.provider.Grant.find(id);
}

/**
 * Extends a grant that would end before a refresh token family that begins now. @returns whether the grant was extended
 */
function renew(grant: Grant, { clock, config }: ExistingGrantDependencies): boolean {
  const now = epochSeconds(clock);
  if (grant.exp === undefined || grant.exp - now >= config.tokens.refresh_family) return false;
  grant.exp = now + grantLife(config.tokens);
  return true;
}

/**
 * Makes the first grant of a client in a session. Two tabs may start with a client at once, but a code is valid only
 * while its grant is the session's grant for the client. So both must get the same grant. @returns undefined if the
 * person has to consent first
 */
async function firstGrant(
  context: KoaContextWithOIDC,
  { client, session, accountId }: Between,
  { consents, grants }: ExistingGrantDependencies,
): Promise<Grant | undefined> {
  const { clientId } = client;
  const { Grant } = context.oidc.provider;
  const grant = new Grant({ accountId, clientId });
  if (policyOf(client).firstParty) {
    addRequestedAccess(context, grant);
  } else {
    const consent = await consents.find(accountId, clientId);
    if (consent === undefined) return undefined;
    grantConsented(grant, consent);
  }
  const key = firstGrantKey(`${session.uid}:${accountId}:${clientId}`);
  if (await grants.create(key, { grant: await grant.save() }, { ttl: FIRST })) return grant;
  const first = await grants.get(key);
  return (first && (await Grant.find(first.value.grant))) ?? grant;
}

/** Adds the requested access to the grant of a first-party client. @returns whether anything was added */
export function addRequestedAccess(context: KoaContextWithOIDC, grant: Grant): boolean {
  const before = JSON.stringify([grant.openid, grant.resources]);
  grantConsented(grant, accessAsked(context));
  return JSON.stringify([grant.openid, grant.resources]) !== before;
}

/** Returns those requested scopes and claims that the client and the person may have by the engine's checks. */
export function accessAsked({ oidc }: Pick<KoaContextWithOIDC, 'oidc'>): Consent {
  const resources = Object.entries(oidc.resourceServers ?? {}).map(([identifier, { scopes }]) => [
    identifier,
    [...oidc.requestParamScopes].filter((scope) => scopes.has(scope)),
  ]);
  return {
    scopes: [...oidc.requestParamOIDCScopes],
    claims: [...oidc.requestParamClaims],
    resources: Object.fromEntries(resources) as Consent['resources'],
  };
}

export function grantConsented(grant: Grant, consent: Consent): Grant {
  if (consent.scopes.length > 0) grant.addOIDCScope(consent.scopes.join(' '));
  if (consent.claims !== undefined && consent.claims.length > 0) grant.addOIDCClaims([...consent.claims]);
  for (const [identifier, scopes] of Object.entries(consent.resources)) {
    if (scopes.length > 0) grant.addResourceScope(identifier, scopes.join(' '));
  }
  return grant;
}
