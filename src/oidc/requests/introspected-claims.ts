import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC, RefreshToken } from 'oidc-provider';
import type { SubjectNames } from '../../accounts/pairwise.ts';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { operatorTokenClaims, isFirstPartyWebApp } from './token-claims.ts';
import type { AccountOf } from './request-account.ts';

type Introspected = AccessToken | ClientCredentials | RefreshToken;

/**
 * Tells whether a client may introspect another client's token. A resource server may introspect only tokens that are
 * for it (RFC 7662 §4, RFC 9701 §5).
 */
function mayIntrospect(client: Client, token: object): boolean {
  const { introspects } = policyOf(client);
  if (typeof introspects === 'boolean') return introspects;
  return 'aud' in token && introspects.some((identifier) => identifier === token.aud);
}

/**
 * Decides whether a client may introspect a token, in the engine's last hook before the response. The hook also adds
 * claims about the account: `username` and `email` (RFC 7662 §2.2), and the operator's own claims. An app that
 * introspects its own token gets the claims that the token's scopes allow. An API always gets `username` and the
 * operator's claims.
 */
export function introspection(dependencies: {
  accountOf: AccountOf;
  subjectNames: SubjectNames;
  resources: readonly ResourceConfig[];
}) {
  return async (context: KoaContextWithOIDC, asker: Client, token: Introspected): Promise<boolean> => {
    const isOther = token.clientId !== asker.clientId;
    if (isOther && !mayIntrospect(asker, token)) return false;
    const client = isOther ? await context.oidc.provider.Client.find(token.clientId ?? '') : asker;
    if (client === undefined) return false;
    const about = { client, audience: Reflect.get(token, 'aud') as unknown, resources: dependencies.resources };
    if (token.kind === 'ClientCredentials') {
      say(token, operatorTokenClaims(about, 'introspection', undefined));
      return true;
    }
    const account = await dependencies.accountOf(context, token.accountId);
    // A token of an account that may not be used counts as inactive.
    if (account === undefined) return false;
    const sub = dependencies.subjectNames.subjectFor(account.id, policyOf(client).sector);
    const isOpen = (scope: string) => isOther || isFirstPartyWebApp(client) || token.scopes.has(scope);
    say(token, {
      ...(isOther || token.scopes.has('profile') ? { username: account.email } : {}),
      ...(token.scopes.has('email') ? { username: account.email, email: account.email } : {}),
      ...operatorTokenClaims(about, 'introspection', { account, sub, isOpen }),
    });
    return true;
  };
}

/** Adds claims to the token object, which belongs to this request alone. The token's own claims take precedence. */
function say(token: Introspected, claims: Record<string, unknown>): void {
  const { extra } = token as { extra?: Record<string, unknown> };
  Object.assign(token, { extra: { ...claims, ...extra } });
}
