import { normaliseEmail } from '../lib/email.ts';
import { resourceClaimsFit } from './sections/claims-checks.ts';
import { checkClients } from './sections/client-checks.ts';
import { checkIssuers } from './sections/issuer-checks.ts';
import { checkKeys } from './sections/key-checks.ts';
import { checkDetailTypes } from './sections/detail-checks.ts';
import { checkServerProfile } from './sections/profile-checks.ts';
import { checkRegistration } from './sections/registration-checks.ts';
import type { Fault, Path } from './problems.ts';
import type { Draft } from './schema.ts';
import { STANDARD_SCOPES } from './sections/claims-schema.ts';
import { durabilityIsPossible } from './store-durability.ts';

/**
 * Checks that compare several values. A check reports nothing if one of its values is missing or faulty, so that no
 * fault is reported together with its consequences.
 */
const CHECKS: readonly ((draft: Draft) => Fault[])[] = [
  issuerFitsTls,
  certificatesCanCome,
  durabilityIsPossible,
  checkKeys,
  familyOutlivesToken,
  rememberedOutlivesDefault,
  codesAreShort,
  checkServerProfile,
  checkDetailTypes,
  resourcesAreDistinct,
  resourceScopesAreTheirOwn,
  resourceClaimsFit,
  clientsAreDistinct,
  checkClients,
  issuersAreDistinct,
  checkIssuers,
  checkRegistration,
  accountsAreDistinct,
  accountPasswordsAreLongEnough,
];

export function checkConfig(draft: Draft): Fault[] {
  return CHECKS.flatMap((check) => check(draft));
}

function issuerFitsTls({ issuer, listen }: Draft): Fault[] {
  if (listen?.tls === undefined || issuer === undefined || issuer.startsWith('https:')) return [];
  return [{ path: ['issuer'], message: 'must be https, because listen.tls is set' }];
}

/**
 * Requires a way for client certificates to reach the server (RFC 8705): a TLS port for them, or a header from the
 * proxy that ends TLS.
 */
function certificatesCanCome({ listen }: Draft): Fault[] {
  const settings = listen?.client_certificates;
  if (listen === undefined || settings === undefined) return [];
  const path = ['listen', 'client_certificates'];
  const { port, header } = settings;
  if (port === undefined && header === undefined) return [{ path, message: 'needs port, header or both' }];
  if (port !== undefined && listen.tls === undefined)
    return [{ path: [...path, 'port'], message: 'needs listen.tls; if a proxy ends TLS, set header instead' }];
  if (header !== undefined && listen.trusted_proxies.length === 0)
    return [
      { path: [...path, 'header'], message: 'needs listen.trusted_proxies: otherwise anybody could send this header' },
    ];
  if (port !== undefined && settings.url === undefined)
    return [{ path: [...path, 'url'], message: 'is required with port: the URL at which clients reach that port' }];
  return [];
}

function familyOutlivesToken({ tokens }: Draft): Fault[] {
  if (tokens === undefined || tokens.refresh_family >= tokens.refresh_token) return [];
  return [{ path: ['tokens', 'refresh_family'], message: 'must not be shorter than tokens.refresh_token' }];
}

function rememberedOutlivesDefault({ sessions }: Draft): Fault[] {
  if (sessions === undefined || sessions.remembered >= sessions.default) return [];
  return [{ path: ['sessions', 'remembered'], message: 'must not be shorter than sessions.default' }];
}

/** Limits the lifetime of authorization codes to ten minutes (RFC 6749 §4.1.2). */
function codesAreShort({ tokens }: Draft): Fault[] {
  if (tokens === undefined || tokens.authorization_code <= 600) return [];
  return [{ path: ['tokens', 'authorization_code'], message: 'must be at most 10m (RFC 6749 §4.1.2)' }];
}

function resourcesAreDistinct({ resources }: Draft): Fault[] {
  return repeated(resources, 'resources', 'identifier', (resource) => resource.identifier);
}

function resourceScopesAreTheirOwn({ resources }: Draft): Fault[] {
  return resources.flatMap((resource, index) =>
    Object.keys(resource?.scopes ?? {})
      .filter((scope) => STANDARD_SCOPES.includes(scope))
      .map((scope) => ({
        path: ['resources', index, 'scopes', scope],
        message: 'is a scope of OpenID Connect itself: choose another name',
      })),
  );
}

function clientsAreDistinct({ clients }: Draft): Fault[] {
  return repeated(clients, 'clients', 'client_id', (client) => client.client_id);
}

function issuersAreDistinct({ trusted_issuers: issuers }: Draft): Fault[] {
  return repeated(issuers, 'trusted_issuers', 'issuer', ({ issuer }) => issuer);
}

function accountsAreDistinct({ accounts }: Draft): Fault[] {
  return repeated(accounts, 'accounts', 'email', (account) => normaliseEmail(account.email) ?? '');
}

function accountPasswordsAreLongEnough({ accounts, passwords }: Draft): Fault[] {
  return accounts.flatMap((account, index) => {
    if (account?.password.isRead !== true || passwords === undefined) return [];
    const message = `is shorter than passwords.min_length (${passwords.min_length})`;
    const tooShort = [...account.password.reveal()].length < passwords.min_length;
    return tooShort ? [{ path: ['accounts', index, 'password'], message }] : [];
  });
}

function repeated<T>(list: readonly (T | undefined)[], section: string, key: string, of: (item: T) => string): Fault[] {
  const names = list.map((item) => (item === undefined ? undefined : of(item)));
  return names.flatMap((name, index) => {
    const first = names.indexOf(name);
    if (name === undefined || first === index) return [];
    const path: Path = [section, index, key];
    return [{ path, message: `is already used as the ${key} of ${section}[${first}]` }];
  });
}
