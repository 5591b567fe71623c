import { errors, type KoaContextWithOIDC } from 'oidc-provider';

/** Longest value of each parameter in bytes. `OTHERS` applies to parameters that are not listed. */
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
 * Refuses a request with longer parameters than any client needs, before the server stores anything. @param params the
 * parameters of the request, its request object or its pushed request @throws InvalidRequest that names the parameter
 */
export function limitParameters(params: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(params)) {
    const most = LONGEST[name] ?? OTHERS;
    if (lengthOf(value) > most) throw new errors.InvalidRequest(`${name} is longer than ${String(most)} bytes`);
  }
}

/**
 * Limits a request's parameters and its request object. The server stores a pushed request object as it is, so its
 * whole length counts too.
 */
export function limitRequest({ oidc }: KoaContextWithOIDC): void {
  limitParameters({ ...oidc.params });
  const request = (oidc.body as { request?: unknown } | undefined)?.request;
  if (request !== undefined) limitParameters({ request });
}

/** Returns the length of a value in bytes. All values of a repeatable parameter, such as `resource`, count together. */
function lengthOf(value: unknown): number {
  if (value === undefined) return 0;
  return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
}
