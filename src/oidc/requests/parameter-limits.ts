import { errors, type KoaContextWithOIDC } from 'oidc-provider';

/** Longest value of a parameter in bytes; OTHERS applies to each unlisted one. */
const LONGEST: Readonly<Record<string, number>> = {
  authorization_details: 8192,
  claims: 4096,
  client_id: 2048,
  client_notification_token: 1024,
  id_token_hint: 8192,
  login_hint_token: 4096,
  post_logout_redirect_uri: 2048,
  redirect_uri: 2048,
  request: 16_384,
  resource: 2048,
  scope: 2048,
  state: 2048,
};
const OTHERS = 512;

/**
 * Refuses a request with larger parameters than any needs, before anything is stored. @param params those of the
 * request, its request object or its pushed request @throws InvalidRequest that names the parameter
 */
export function limitParameters(params: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(params)) {
    const most = LONGEST[name] ?? OTHERS;
    if (lengthOf(value) > most) throw new errors.InvalidRequest(`${name} is longer than ${String(most)} bytes`);
  }
}

/** A pushed request object is stored as it came, so its whole length counts too. */
export function limitRequest({ oidc }: KoaContextWithOIDC): void {
  limitParameters({ ...oidc.params });
  const request = (oidc.body as { request?: unknown } | undefined)?.request;
  if (request !== undefined) limitParameters({ request });
}

/** A repeatable parameter, such as `resource`, counts as a whole. */
function lengthOf(value: unknown): number {
  if (value === undefined) return 0;
  return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
}
