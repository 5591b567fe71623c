import type { Grant, KoaContextWithOIDC } from 'oidc-provider';
import type { Consent, Consents } from '../accounts/consents.ts';
import { keyspace, type Store } from '../storage/store.ts';
import { policyOf } from './client-metadata.ts';

/** Says which of a session's grants for a client was first. */
const firstGrantKey = keyspace<{ grant: string }>('first-grant');

/** For how long several requests may be a client's first, in seconds: longer than a request takes. */
const FIRST = 60;

interface Parts {
  consents: Consents;
  grants: Store;
}

/**
 * What the person has already let this client do: said in this session, remembered from an earlier one, or, for a
 * first-party client, taken as given.
 */
export async function existingGrant(context: KoaContextWithOIDC, parts: Parts): Promise<Grant | undefined> {
  const { client, session, account, provider, result } = context.oidc;
  if (client === undefined || session === undefined || account === undefined) return undefined;
  const { clientId } = client;
  const { firstParty } = policyOf(client);
  const id = result?.consent?.grantId ?? session.grantIdFor(clientId);
  const known = id === undefined ? undefined : await provider.Grant.find(id);
  const about = { clientId, accountId: account.accountId, session: session.uid, firstParty };
  const grant = known ?? (await firstGrant(context, about, parts));
  if (grant !== undefined && firstParty && addWhatIsAsked(context, grant)) await grant.save();
  return grant;
}

/**
 * Two tabs may begin with a client at once. A code is good only while its grant is the session's for the client, so
 * both come to the same one: that of whoever is first.
 */
async function firstGrant(
  context: KoaContextWithOIDC,
  about: { clientId: string; accountId: string; session: string; firstParty: boolean },
  { consents, grants }: Parts,
): Promise<Grant | undefined> {
  const { accountId, clientId } = about;
  const { Grant } = context.oidc.provider;
  const grant = new Grant({ accountId, clientId });
  if (about.firstParty) {
    addWhatIsAsked(context, grant);
  } else {
    const consent = await consents.find(accountId, clientId);
    if (consent === undefined) return undefined;
    grantConsented(grant, consent);
  }
  const key = firstGrantKey(`${about.session}:${clientId}`);
  if (await grants.create(key, { grant: await grant.save() }, { ttl: FIRST })) return grant;
  const first = await grants.get(key);
  return (first && (await Grant.find(first.value.grant))) ?? grant;
}

/** @returns whether there was anything to add */
function addWhatIsAsked(context: KoaContextWithOIDC, grant: Grant): boolean {
  const before = JSON.stringify([grant.openid, grant.resources]);
  grant.addOIDCScope([...context.oidc.requestParamOIDCScopes].join(' '));
  for (const [identifier, resource] of Object.entries(context.oidc.resourceServers ?? {})) {
    const asked = [...context.oidc.requestParamScopes].filter((scope) => resource.scopes.has(scope));
    if (asked.length > 0) grant.addResourceScope(identifier, asked.join(' '));
  }
  return JSON.stringify([grant.openid, grant.resources]) !== before;
}

export function grantConsented(grant: Grant, consent: Consent): Grant {
  if (consent.scopes.length > 0) grant.addOIDCScope(consent.scopes.join(' '));
  for (const [identifier, scopes] of Object.entries(consent.resources)) {
    if (scopes.length > 0) grant.addResourceScope(identifier, scopes.join(' '));
  }
  return grant;
}
