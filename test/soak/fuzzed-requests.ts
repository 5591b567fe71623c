import fc from 'fast-check';
import { SignJWT } from 'jose';
import { attackOn, oddPathFrom, type Base } from '../attacks/requests.ts';
import type { ClientKey } from '../support/signed-request.ts';

const METHODS = ['GET', 'POST'];
const OTHER_METHODS = ['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];
const FORM = 'Content-Type: application/x-www-form-urlencoded';
const secret = (client: string): string =>
  `Authorization: Basic ${Buffer.from(`${client}:demo-web-secret`).toString('base64')}`;

/** Every path of the server, for requests that are like none it expects. */
export const PATHS = [
  ...['/', '/authorize', '/authorize/x', '/token', '/userinfo', '/introspect', '/revoke', '/par', '/logout'],
  ...['/logout/confirm', '/logout/success', '/jwks', '/device', '/device/x', '/device/qr.svg', '/device_authorization'],
  ...['/backchannel_authentication', '/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'],
  ...[
    '/.well-known/ssf-configuration',
    '/ssf/streams',
    '/ssf/status',
    '/ssf/subjects/add',
    '/ssf/verification',
    '/ssf/poll/x',
  ],
  ...['/healthz', '/readyz', '/interaction/x', '/interaction/x/sign-in', '/interaction/x/sign-up', '/check-session'],
  ...['/interaction/x/consent', '/interaction/x/account', '/interaction/x/cancel', '/assets/style.css', '/status'],
  ...['/status/x', '/status/events', '/register', '/register/x', '/sessions', '/apps', '/password', '/approvals/x'],
];

/** Requests beside those of `attacks/bases.ts`, for what the demo does not turn on. */
export async function moreBases(issuer: string, bases: Record<string, Base>, key: ClientKey): Promise<Base[]> {
  const authorize = bases['GET /authorize']?.parameters ?? [];
  const signed = await oddObjects(issuer, key);
  const post = (path: string, parameters: Base['parameters'], ...headers: string[]): Base => ({
    method: 'POST',
    path,
    parameters,
    headers,
  });
  const token = (grant: string, ...parameters: Base['parameters'][number][]): Base =>
    post('/token', [['grant_type', grant], ...parameters], secret('demo-web'));
  const urn = 'urn:ietf:params:oauth:grant-type:';
  return [
    { method: 'GET', path: '/authorize/x', parameters: authorize },
    { method: 'GET', path: '/device/x', parameters: authorize },
    { method: 'GET', path: '/authorize', parameters: [...authorize, ['prompt', 'none'], ['response_mode', 'jwt']] },
    { method: 'GET', path: '/device', parameters: [['user_code', 'ABCD-EFGH']] },
    { method: 'GET', path: '/device/qr.svg', parameters: [['user_code', 'ABCD-EFGH']] },
    post('/device', [['user_code', 'ABCD-EFGH'], ['xsrf', 'x'], ['confirm', 'yes']]),
    post('/device_authorization', [['client_id', 'tv'], ['scope', 'openid'], ['resource', 'http://localhost:3003']]),
    post('/device_authorization', [['scope', 'openid offline_access']], secret('box')),
    post('/backchannel_authentication', [['scope', 'openid'], ['login_hint', 'alice@example.com'], ['binding_message', 'M'], ['requested_expiry', '60']], secret('bank')),
    post('/par', authorize),
    post('/par', [...authorize.filter(([name]) => name !== 'client_id'), ['authorization_details', '[{"type":"payment"}]']], secret('payer')),
    token('refresh_token', ['refresh_token', 'x']),
    token('password', ['username', 'a@b.example'], ['password', 'x']),
    token(`${urn}device_code`, ['device_code', 'x']),
    token('urn:openid:params:grant-type:ciba', ['auth_req_id', 'x']),
    token(`${urn}jwt-bearer`, ['assertion', 'a.b.c']),
    post('/token', [['grant_type', `${urn}token-exchange`], ['subject_token', 'x'], ['subject_token_type', `${urn.replace('grant-type', 'token-type')}access_token`]], secret('till')),
    post('/token', [['grant_type', 'client_credentials'], ['client_id', 'signer'], ['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'], ['client_assertion', signed[0] ?? '']]),
    ...signed.flatMap((request): Base[] => [
      { method: 'GET', path: '/authorize', parameters: [['client_id', 'signer'], ['request', request]] },
      post('/par', [['client_id', 'signer'], ['request', request]], secret('signer')),
    ]),
    { method: 'POST', path: '/register', parameters: [], headers: ['Content-Type: application/json'] },
    { method: 'GET', path: '/register/x', parameters: [], headers: ['Authorization: Bearer x'] },
    { method: 'GET', path: '/status/events', parameters: [] },
    { method: 'GET', path: '/userinfo', parameters: [], headers: ['Authorization: DPoP x', 'DPoP: a.b.c'] },
  ]; // prettier-ignore
}

/** Signed requests (RFC 9101) of a client with a key, with values of every type where text is expected. */
async function oddObjects(issuer: string, key: ClientKey): Promise<string[]> {
  const value = fc.oneof(fc.constantFrom(null, true, 0, -1, 1e300, '', 'none', [], {}, ['a', 1], [{}], { id_token: null }), fc.jsonValue({ maxDepth: 1 })); // prettier-ignore
  const names = ['state', 'nonce', 'scope', 'redirect_uri', 'prompt', 'max_age', 'claims', 'resource', 'acr_values', 'response_type', 'response_mode', 'code_challenge', 'id_token_hint', 'authorization_details', 'dpop_jkt', 'ui_locales', 'login_hint', 'jti']; // prettier-ignore
  const odd = fc.dictionary(fc.constantFrom(...names), value, { minKeys: 1, maxKeys: 4 });
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: 'signer', client_id: 'signer', aud: issuer, nbf: now - 60, exp: now + 3500, response_type: 'code', scope: 'openid' }; // prettier-ignore
  const all = fc
    .sample(odd, { numRuns: 60, seed: 9101 })
    .map((claims) =>
      new SignJWT({ ...usual, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'oauth-authz-req+jwt' })
        .sign(key.privateKey),
    );
  return Promise.all(all);
}

/** Each request without one or two of its pieces, by every method, with and without its headers. */
export function* missingPieces(bases: readonly Base[], host: string): Generator<Buffer> {
  for (const base of bases) {
    for (const [variant, parameters] of [...withoutPieces(base.parameters)].entries()) {
      // The others are refused before their parameters are read.
      for (const method of variant < 2 ? [...METHODS, ...OTHER_METHODS] : METHODS) {
        for (const headers of [base.headers ?? [], []]) yield requestOf({ ...base, method, parameters, headers }, host);
      }
    }
  }
}

function* withoutPieces(parameters: Base['parameters']): Generator<Base['parameters']> {
  yield parameters;
  yield [];
  for (const [index, [name]] of parameters.entries()) {
    yield parameters.toSpliced(index, 1);
    yield parameters.toSpliced(index, 1, [name, '']);
    yield [parameters[index] ?? [name, '']];
    for (let other = index + 1; other < parameters.length; other += 1)
      yield parameters.filter((_, at) => at !== index && at !== other);
  }
}

function requestOf({ method, path, parameters, headers = [] }: Base, host: string): Buffer {
  const text = new URLSearchParams(parameters.map(([name, value]): [string, string] => [name, value])).toString();
  const inBody = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method);
  const body = inBody ? text : '';
  const type = headers.some((header) => /^content-type:/i.test(header)) ? [] : [FORM];
  const own = inBody ? [...type, `Content-Length: ${String(body.length)}`] : [];
  const line = `${method} ${path}${inBody || text === '' ? '' : `?${text}`} HTTP/1.1`;
  return Buffer.from([line, `Host: ${host}`, ...headers, ...own, 'Connection: close', '', body].join('\r\n'), 'latin1');
}

/** Changed requests without an end: their parameters and headers, their paths, and their bare bytes. */
export function* changedRequests(bases: readonly Base[], host: string, seed: number): Generator<Buffer> {
  const structured = fc.oneof(...bases.map((base) => attackOn(base, host)));
  const paths = oddPathFrom(PATHS, host);
  const spoil = fc.tuple(
    structured,
    fc.array(fc.tuple(fc.nat(4000), fc.nat(255), fc.nat(2)), { minLength: 1, maxLength: 5 }),
  );
  const raw = spoil.map(([bytes, changes]) => changes.reduce((left, change) => spoiled(left, ...change), bytes));
  const all = fc.oneof(
    { weight: 7, arbitrary: structured },
    { weight: 2, arbitrary: paths },
    { weight: 1, arbitrary: raw },
  );
  for (let batch = 0; ; batch += 1) yield* fc.sample(all, { numRuns: 1000, seed: seed + batch });
}

/** A byte replaced, taken out or put in. */
function spoiled(bytes: Buffer, at: number, value: number, how: number): Buffer {
  const index = at % Math.max(1, bytes.length);
  const middle = how === 1 ? [] : [value];
  return Buffer.concat([bytes.subarray(0, index), Buffer.from(middle), bytes.subarray(index + (how === 2 ? 0 : 1))]);
}
