import { isDeepStrictEqual } from 'node:util';
import {
  errors,
  type AuthorizationDetail,
  type AuthorizationDetailsForIntrospection,
  type KoaContextWithOIDC,
  type RichAuthorizationRequestsActiveConfiguration,
} from 'oidc-provider';
import { SCOPES_ONLY } from './claims-parameter.ts';
import type { DetailField, DetailType } from '../../config/sections/detail-schema.ts';
import { hasHiddenCharacters } from '../../lib/hidden-characters.ts';

type Feature = RichAuthorizationRequestsActiveConfiguration & {
  authorizationDetailsForIntrospection: AuthorizationDetailsForIntrospection;
};

/** Limits on the number and length of details, because a person must read them. */
const MOST_DETAILS = 10;
const MOST_VALUES = 20;
const LONGEST_TEXT = 200;

/**
 * Hooks for Rich Authorization Requests (RFC 9396). If a person is involved, they must consent to the details of each
 * request. A token carries the granted details for its API, or fewer if the token request asks for fewer.
 */
export function richAuthorizationRequests(types: readonly DetailType[]): Feature {
  const byName = new Map(types.map((type) => [type.type, type]));
  return {
    enabled: types.length > 0,
    types: Object.fromEntries(
      types.map((type) => [
        type.type,
        {
          validate: (context, detail) => {
            validate(type, context, detail);
          },
        },
      ]),
    ),
    authorizationDetailsForGrantSource: ({ oidc }) => asked(oidc.params),
    authorizationDetailsForAccessToken: (context, token, source, grantType) => {
      const granted =
        source === undefined && grantType === 'client_credentials' ? asked(context.oidc.params) : source?.rar;
      const audience = token.resourceServer?.audience;
      return allowed(asked(context.oidc.params), granted ?? []).filter((detail) => isFor(audience, detail, byName));
    },
    authorizationDetailsForIntrospection: (_context, { rar }) => rar,
  };
}

/** Reads the requested authorization details. The engine has checked their form. */
function asked(params: KoaContextWithOIDC['oidc']['params']): AuthorizationDetail[] | undefined {
  const details = params?.['authorization_details'];
  return typeof details === 'string' ? (JSON.parse(details) as AuthorizationDetail[]) : undefined;
}

/**
 * Returns the details for a token. A token request may ask for fewer details than were granted, but must repeat each
 * one unchanged (RFC 9396 §6.1).
 */
function allowed(
  wanted: AuthorizationDetail[] | undefined,
  granted: readonly AuthorizationDetail[],
): readonly AuthorizationDetail[] {
  if (wanted === undefined) return granted;
  if (wanted.every((detail) => granted.some((one) => isDeepStrictEqual(one, detail)))) return wanted;
  throw new errors.InvalidAuthorizationDetails('more than was granted');
}

/** Tells whether a detail concerns the token's API, which may see no others (RFC 9396 §12). */
function isFor(
  audience: string | undefined,
  detail: AuthorizationDetail,
  types: ReadonlyMap<string, DetailType>,
): boolean {
  const { resources } = types.get(detail.type) ?? { resources: [] };
  const locations = detail['locations'] as string[] | undefined;
  return [resources, locations].every(
    (list) => list === undefined || (audience !== undefined && list.includes(audience)),
  );
}

function validate(type: DetailType, { oidc }: KoaContextWithOIDC, detail: AuthorizationDetail): void {
  if (SCOPES_ONLY.includes(oidc.route)) throw refused('a person must be shown them, on the consent page');
  if ((asked(oidc.params)?.length ?? 0) > MOST_DETAILS) throw refused(`more than ${MOST_DETAILS} details`);
  const { type: _name, ...members } = detail;
  validateMembers(type.fields, members, type.type);
}

function validateMembers(fields: DetailType['fields'], members: Record<string, unknown>, at: string): void {
  for (const name of Object.keys(members))
    if (!Object.hasOwn(fields, name)) throw refused(`${at}.${name} is not known`);
  for (const [name, field] of Object.entries(fields)) {
    const value = members[name];
    if (value === undefined) {
      if (field.required) throw refused(`${at}.${name} is missing`);
    } else validateValue(field, value, `${at}.${name}`);
  }
}

function validateValue(field: DetailField, value: unknown, at: string): void {
  switch (field.type) {
    case 'string':
      return validateText(field, value, at);
    case 'strings':
      if (!Array.isArray(value) || value.length > MOST_VALUES) throw refused(`${at} must be a list of texts`);
      for (const one of value) validateText(field, one, at);
      return;
    case 'object':
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused(`${at} must be an object`);
      validateMembers(field.fields ?? {}, value as Record<string, unknown>, at);
      return;
    default:
      if (typeof value !== field.type) throw refused(`${at} must be a ${field.type}`);
  }
}

function validateText({ values }: DetailField, value: unknown, at: string): void {
  if (typeof value !== 'string' || value === '' || value.length > LONGEST_TEXT) throw refused(`${at} must be a text`);
  if (hasHiddenCharacters(value)) throw refused(`${at} has hidden characters`);
  if (values?.includes(value) === false) throw refused(`${at} is none of its values`);
}

function refused(message: string): Error {
  return new errors.InvalidAuthorizationDetails(message);
}
